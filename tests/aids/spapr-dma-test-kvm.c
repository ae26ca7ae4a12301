/*
 * Test aid: KVM and a container, as DMA windows see them, where there are none
 *
 * Objects
 *   kvm      takes KVM's place: it makes tables of windows, and keeps vCPUs out
 *            when it is told to, which its property "frozen" tells.  No vCPU
 *            runs in it, so all hypercalls still come to QEMU.
 *   mapper   mirrors the windows of the first PHB while it has joined, and can
 *            be updated by KVM.  KVM must not have a window that it hears of
 *            first, or for the last time unless it leaves by itself.
 *   reader   looks at an entry of a window without a lock, as translation
 *            does, and takes its time.
 *
 * They are devices without a bus and are there from the start.  A kvm comes
 * first, and there is one at most.  What they do is changed by properties, at
 * any time.
 *
 * Everything here runs under the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/memfd.h"
#include "qemu/rcu.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/pci-host/spapr.h"
#include "hw/ppc/spapr.h"
#include "hw/qdev-properties.h"
#include "system/accel-blocker.h"
#include "../ppc/spapr_dma_private.h"
#include <sys/mman.h>

#define TYPE_AID_KVM "spapr-dma-test-kvm"
OBJECT_DECLARE_SIMPLE_TYPE(AidKvm, AID_KVM)

#define TYPE_AID_MAPPER "spapr-dma-test-mapper"
OBJECT_DECLARE_SIMPLE_TYPE(AidMapper, AID_MAPPER)

#define TYPE_AID_READER "spapr-dma-test-reader"
OBJECT_DECLARE_SIMPLE_TYPE(AidReader, AID_READER)

struct AidKvm {
    DeviceState parent_obj;

    bool tables;                /* properties: are tables made, */
    bool updates_vfio;          /* and would it update containers? */
};

struct AidMapper {
    DeviceState parent_obj;

    SpaprDmaMapper mapper;
    GHashTable *pages;          /* bus addresses of those that are mapped */
    bool joined;                /* properties */
    bool refuses_kvm;           /* does KVM fail to connect it? */
};

struct AidReader {
    DeviceState parent_obj;

    uint32_t liobn;             /* properties: which entry */
    uint64_t index;
    const SpaprTceStore *store; /* what is being looked at, or NULL */
};

static void aid_class_init(ObjectClass *klass)
{
    DEVICE_CLASS(klass)->hotpluggable = false;
}

/* ---- kvm ---- */

static AidKvm *the_kvm;

static bool kvm_present(void)
{
    return true;
}

static bool kvm_updates_vfio(void)
{
    return the_kvm->updates_vfio;
}

static uint64_t *kvm_create_table(const SpaprDmaWindow *window, int *fd)
{
    size_t bytes = window->geometry.entries * sizeof(uint64_t);
    void *words;

    if (!the_kvm->tables) {
        return NULL;
    }
    *fd = qemu_memfd_create("kvm-tce-table", bytes, false, 0, 0, &error_abort);
    words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    g_assert(words != MAP_FAILED);
    return words;
}

static const SpaprDmaKvmOps kvm_ops = {
    .present = kvm_present,
    .updates_vfio = kvm_updates_vfio,
    .create_table = kvm_create_table,
};

static void kvm_realize(DeviceState *dev, Error **errp)
{
    accel_blocker_init();
    the_kvm = AID_KVM(dev);
    spapr_dma_kvm_set_ops(&kvm_ops);
}

static bool kvm_get_tables(Object *obj, Error **errp)
{
    return AID_KVM(obj)->tables;
}

static void kvm_set_tables(Object *obj, bool tables, Error **errp)
{
    AID_KVM(obj)->tables = tables;
}

static bool kvm_get_updates_vfio(Object *obj, Error **errp)
{
    return AID_KVM(obj)->updates_vfio;
}

static void kvm_set_updates_vfio(Object *obj, bool updates, Error **errp)
{
    AID_KVM(obj)->updates_vfio = updates;
}

static bool kvm_get_frozen(Object *obj, Error **errp)
{
    return spapr_dma_machine()->frozen;
}

static void kvm_instance_init(Object *obj)
{
    AID_KVM(obj)->tables = true;
    AID_KVM(obj)->updates_vfio = true;
}

static void kvm_class_init(ObjectClass *klass, void *data)
{
    aid_class_init(klass);
    DEVICE_CLASS(klass)->realize = kvm_realize;
    object_class_property_add_bool(klass, "tables", kvm_get_tables,
                                   kvm_set_tables);
    object_class_property_add_bool(klass, "updates-vfio", kvm_get_updates_vfio,
                                   kvm_set_updates_vfio);
    object_class_property_add_bool(klass, "frozen", kvm_get_frozen, NULL);
}

/* ---- mapper ---- */

static bool mapper_window_add(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                              Error **errp)
{
    g_assert(window->kvm_fd < 0);
    return true;
}

static int mapper_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                      const SpaprDmaRun *run)
{
    AidMapper *aid = container_of(mapper, AidMapper, mapper);
    uint64_t page = 1ULL << window->geometry.page_shift;

    for (uint64_t done = 0; done < run->size; done += page) {
        int64_t iova = run->iova + done;

        g_hash_table_add(aid->pages, g_memdup2(&iova, sizeof(iova)));
    }
    return 0;
}

static void mapper_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t iova, uint64_t size)
{
    AidMapper *aid = container_of(mapper, AidMapper, mapper);
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, aid->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (*(uint64_t *)key - iova < size) {
            g_hash_table_iter_remove(&iter);
        }
    }
}

/* KVM was told that this copy goes, or it has the window no more */
static void mapper_window_del(SpaprDmaMapper *mapper, SpaprDmaWindow *window)
{
    AidMapper *aid = container_of(mapper, AidMapper, mapper);

    g_assert(!aid->joined || window->kvm_fd < 0);
    mapper_unmap(mapper, window, window->geometry.bus_offset,
                 spapr_dma_window_size(window));
}

static bool mapper_kvm_connect(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                               Error **errp)
{
    AidMapper *aid = container_of(mapper, AidMapper, mapper);

    g_assert(window->kvm_fd >= 0);
    if (aid->refuses_kvm) {
        error_setg(errp, "KVM does not connect window 0x%x, for a test",
                   window->liobn);
    }
    return !aid->refuses_kvm;
}

static const SpaprDmaMapperOps mapper_ops = {
    .window_add = mapper_window_add,
    .window_del = mapper_window_del,
    .map = mapper_map,
    .unmap = mapper_unmap,
    .kvm_connect = mapper_kvm_connect,
};

static void mapper_realize(DeviceState *dev, Error **errp)
{
    AidMapper *aid = AID_MAPPER(dev);
    SpaprMachineState *spapr = SPAPR_MACHINE(current_machine);
    SpaprPhbState *sphb = QLIST_FIRST(&spapr->phbs);

    aid->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                       NULL);
    spapr_dma_mapper_init(&aid->mapper, &mapper_ops,
                          spapr_dma_space_find(&sphb->iommu_as));
}

static bool mapper_get_joined(Object *obj, Error **errp)
{
    return AID_MAPPER(obj)->joined;
}

static void mapper_set_joined(Object *obj, bool joined, Error **errp)
{
    AidMapper *aid = AID_MAPPER(obj);

    if (joined == aid->joined) {
        return;
    }
    aid->joined = joined;
    if (!joined) {
        spapr_dma_mapper_unregister(&aid->mapper);
    } else if (spapr_dma_mapper_register(&aid->mapper, errp)) {
        spapr_dma_mapper_set_sees_all(&aid->mapper, false);
    }
}

static bool mapper_get_refuses_kvm(Object *obj, Error **errp)
{
    return AID_MAPPER(obj)->refuses_kvm;
}

static void mapper_set_refuses_kvm(Object *obj, bool refuses, Error **errp)
{
    AID_MAPPER(obj)->refuses_kvm = refuses;
}

static void mapper_get_mapped(Object *obj, Visitor *v, const char *name,
                              void *opaque, Error **errp)
{
    uint64_t mapped = g_hash_table_size(AID_MAPPER(obj)->pages);

    visit_type_uint64(v, name, &mapped, errp);
}

static void mapper_class_init(ObjectClass *klass, void *data)
{
    aid_class_init(klass);
    DEVICE_CLASS(klass)->realize = mapper_realize;
    object_class_property_add_bool(klass, "joined", mapper_get_joined,
                                   mapper_set_joined);
    object_class_property_add_bool(klass, "refuses-kvm",
                                   mapper_get_refuses_kvm,
                                   mapper_set_refuses_kvm);
    object_class_property_add(klass, "mapped", "uint64", mapper_get_mapped,
                              NULL, NULL, NULL);
}

/* ---- reader ---- */

static bool reader_get_reading(Object *obj, Error **errp)
{
    return AID_READER(obj)->store;
}

/* Nothing that was visible at the beginning is freed before the end */
static void reader_set_reading(Object *obj, bool reading, Error **errp)
{
    AidReader *reader = AID_READER(obj);

    if (reading && !reader->store) {
        rcu_read_lock();
        reader->store =
            spapr_dma_store_read(spapr_dma_window_find(reader->liobn));
    } else if (!reading && reader->store) {
        reader->store = NULL;
        rcu_read_unlock();
    }
}

static void reader_get_word(Object *obj, Visitor *v, const char *name,
                            void *opaque, Error **errp)
{
    AidReader *reader = AID_READER(obj);
    uint64_t word = reader->store ?
                    spapr_tce_store_get(reader->store, reader->index) : 0;

    visit_type_uint64(v, name, &word, errp);
}

static const Property reader_properties[] = {
    DEFINE_PROP_UINT32("liobn", AidReader, liobn, 0),
    DEFINE_PROP_UINT64("index", AidReader, index, 0),
};

static void reader_class_init(ObjectClass *klass, void *data)
{
    aid_class_init(klass);
    device_class_set_props(DEVICE_CLASS(klass), reader_properties);
    object_class_property_add_bool(klass, "reading", reader_get_reading,
                                   reader_set_reading);
    object_class_property_add(klass, "word", "uint64", reader_get_word,
                              NULL, NULL, NULL);
}

static const TypeInfo aid_types[] = {
    {
        .name = TYPE_AID_KVM,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidKvm),
        .instance_init = kvm_instance_init,
        .class_init = kvm_class_init,
    }, {
        .name = TYPE_AID_MAPPER,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidMapper),
        .class_init = mapper_class_init,
    }, {
        .name = TYPE_AID_READER,
        .parent = TYPE_DEVICE,
        .instance_size = sizeof(AidReader),
        .class_init = reader_class_init,
    },
};

DEFINE_TYPES(aid_types)
