/*
 * DMA windows on a host without TCEs: VFIO follows them by IOMMU notifiers
 *
 * The host has a type 1 IOMMU.  It keeps each mapping as it was made and
 * unmaps only whole ones, so what is mapped and what is unmapped have to
 * match.  When it refuses, the guest's hypercall has succeeded already.  So
 * these tests look at what the host has: at its number of mappings, at the
 * calls that failed and at what a device can reach.
 *
 * Words: an entry is *seen* as the guest memory that a device reads through
 * it.  Each page of memory that the tests map begins with its address.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-spapr.h"
#include "spapr-vfio-common.h"

#define TYPE1   "host flavour=type1 page=4K\n" ONE

/* The host's IOMMU has 48 address bits: large windows start below that */
#define WINDOW_AT(addr) "-global spapr-pci-host-bridge.dma64_win_addr=" \
                        #addr " "
#define LOW     WINDOW_AT(0x100000000)
#define LOW1    LOW VFIO1

#define NOTHING UINT64_MAX      /* seen if the device faults */

#define LARGE_SHIFT 24
#define LARGE   (1ULL << LARGE_SHIFT)

/* Guest memory: what is mapped, something else, and where a device writes */
#define MEMORY  0x4000000ULL
#define OTHER   0xc000000ULL
#define SINK    0xd000000ULL

/* Entry of the default window that leads to SINK */
#define SINK_BUS    (1ULL << 29)

#define MANY    4000            /* hypercalls */

/* ---- what is seen ---- */

/* Let each page of guest memory begin with its address */
static void stamp(VfioTest *v, uint64_t gpa, uint64_t pages)
{
    for (uint64_t i = 0; i < pages; i++) {
        qtest_writeq(v->t->qts, gpa + i * PAGE, gpa + i * PAGE);
    }
}

static uint64_t seen(VfioTest *v, uint64_t bus)
{
    if (vfio_dma_copy(v, 1, bus, SINK_BUS) != RESULT_OK) {
        return NOTHING;
    }
    return qtest_readq(v->t->qts, SINK);
}

/* The host has so many mappings, and has refused nothing so far */
static void assert_mappings(VfioTest *v, unsigned count)
{
    g_assert_cmpuint(vfio_refused(v, "unmap"), ==, 0);
    g_assert_cmpuint(vfio_refused(v, "map"), ==, 0);
    g_assert_cmpuint(vfio_mappings(v), ==, count);
}

/* ---- requests ---- */

/* One list of TCEs for neighbouring pages of memory */
static void put_list(VfioTest *v, const SpaprDdwWindow *w, uint64_t bus,
                     unsigned shift, uint64_t gpa, unsigned count)
{
    uint64_t tces[512];

    for (unsigned i = 0; i < count; i++) {
        tces[i] = (gpa + ((uint64_t)i << shift)) | TCE_RW;
    }
    g_assert_cmpint(spapr_put_tce_indirect(v->t, w->liobn, bus, tces, count),
                    ==, H_SUCCESS);
}

static void stuff(VfioTest *v, const SpaprDdwWindow *w, uint64_t bus,
                  uint64_t count)
{
    g_assert_cmpint(spapr_stuff_tce(v->t, w->liobn, bus, 0, count), ==,
                    H_SUCCESS);
}

static void put_sink(VfioTest *v)
{
    vfio_put(v, LIOBN_DEFAULT, SINK_BUS, SINK | TCE_RW, H_SUCCESS);
}

/* ---- mapping and unmapping ---- */

/* D3: any page of a list can be taken back, and it is taken from the device */
static void test_take_back(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    put_sink(v);
    stamp(v, MEMORY, 512);
    put_list(v, &w, w.addr, 12, MEMORY, 512);
    vfio_put(v, w.liobn, w.addr + 100 * PAGE, 0, H_SUCCESS);
    stuff(v, &w, w.addr + 200 * PAGE, 5);
    for (unsigned i = 0; i < 512; i++) {
        bool taken = i == 100 || (i >= 200 && i < 205);

        g_assert_cmphex(seen(v, w.addr + i * PAGE), ==,
                        taken ? NOTHING : MEMORY + i * PAGE);
    }
    assert_mappings(v, 507);
    stuff(v, &w, w.addr, 512);
    assert_mappings(v, 1);
    vfio_quit(v);
}

/* D3: another page can be put there, after that or directly */
static void test_replace(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    put_sink(v);
    stamp(v, MEMORY, 512);
    stamp(v, OTHER, 4);
    put_list(v, &w, w.addr, 12, MEMORY, 512);

    vfio_put(v, w.liobn, w.addr + 100 * PAGE, 0, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + 100 * PAGE, OTHER | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + 300 * PAGE, (OTHER + PAGE) | TCE_RW,
             H_SUCCESS);
    put_list(v, &w, w.addr + 400 * PAGE, 12, OTHER + 2 * PAGE, 2);
    g_assert_cmphex(seen(v, w.addr + 99 * PAGE), ==, MEMORY + 99 * PAGE);
    g_assert_cmphex(seen(v, w.addr + 100 * PAGE), ==, OTHER);
    g_assert_cmphex(seen(v, w.addr + 101 * PAGE), ==, MEMORY + 101 * PAGE);
    g_assert_cmphex(seen(v, w.addr + 300 * PAGE), ==, OTHER + PAGE);
    g_assert_cmphex(seen(v, w.addr + 400 * PAGE), ==, OTHER + 2 * PAGE);
    g_assert_cmphex(seen(v, w.addr + 401 * PAGE), ==, OTHER + 3 * PAGE);
    g_assert_cmphex(seen(v, w.addr + 402 * PAGE), ==, MEMORY + 402 * PAGE);
    assert_mappings(v, 513);
    vfio_quit(v);
}

/* D3: the same page with another permission */
static void test_permission(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    put_list(v, &w, w.addr, 12, MEMORY, 512);
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr, w.addr + 7 * PAGE), ==,
                     RESULT_OK);
    vfio_put(v, w.liobn, w.addr + 7 * PAGE, (MEMORY + 7 * PAGE) | TCE_RO,
             H_SUCCESS);
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr, w.addr + 7 * PAGE), ==,
                     RESULT_WRITE_FAULT);
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr + 7 * PAGE,
                                   w.addr + 8 * PAGE), ==, RESULT_OK);
    assert_mappings(v, 512);
    vfio_quit(v);
}

/* D3: whatever a guest does, the host has what the guest has stored */
#define RANDOM_ENTRIES  64
#define RANDOM_PAGES    16
#define RANDOM_CALLS    500

static uint64_t random_tce(void)
{
    uint64_t page = g_test_rand_int_range(0, RANDOM_PAGES);

    return g_test_rand_int_range(0, 4) ? (MEMORY + page * PAGE) | TCE_RW : 0;
}

/* Does the same to the window and to @tces */
static void random_call(VfioTest *v, const SpaprDdwWindow *w, uint64_t *tces)
{
    unsigned index = g_test_rand_int_range(0, RANDOM_ENTRIES);
    unsigned count = g_test_rand_int_range(1, RANDOM_ENTRIES - index + 1);
    uint64_t bus = w->addr + index * PAGE;
    uint64_t tce = random_tce();

    switch (g_test_rand_int_range(0, 4)) {
    case 0:
        for (unsigned i = index; i < index + count; i++) {
            /* Neighbours often continue one another */
            tces[i] = tce;
            tce = g_test_rand_int_range(0, 3) &&
                  (tce & ~TCE_RW) < MEMORY + (RANDOM_PAGES - 1) * PAGE && tce
                  ? tce + PAGE : random_tce();
        }
        g_assert_cmpint(spapr_put_tce_indirect(v->t, w->liobn, bus,
                                               &tces[index], count), ==,
                        H_SUCCESS);
        break;
    case 1:
        memset(&tces[index], 0, count * sizeof(*tces));
        stuff(v, w, bus, count);
        break;
    default:
        tces[index] = tce;
        vfio_put(v, w->liobn, bus, tce, H_SUCCESS);
        break;
    }
}

static void random_check(VfioTest *v, const SpaprDdwWindow *w,
                         const uint64_t *tces, unsigned i)
{
    g_assert_cmphex(seen(v, w->addr + i * PAGE), ==,
                    tces[i] ? tces[i] & ~TCE_RW : NOTHING);
}

static void test_random(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);
    uint64_t tces[RANDOM_ENTRIES] = { };
    unsigned mapped = 1;

    put_sink(v);
    stamp(v, MEMORY, RANDOM_PAGES);
    for (unsigned i = 0; i < RANDOM_CALLS; i++) {
        random_call(v, &w, tces);
        random_check(v, &w, tces, g_test_rand_int_range(0, RANDOM_ENTRIES));
    }
    for (unsigned i = 0; i < RANDOM_ENTRIES; i++) {
        mapped += tces[i] != 0;
        random_check(v, &w, tces, i);
    }
    assert_mappings(v, mapped);
    vfio_quit(v);
}

/* ---- places ---- */

/* The first and the last entry of each window; the second ends with the bus */
static void test_ends(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, WINDOW_AT(0xfffff0000000) VFIO1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, 0xfffff0000000ULL);
    uint64_t last = w.addr + (1ULL << 28) - PAGE;
    uint64_t last_default = (1ULL << DEFAULT_SHIFT) - PAGE;

    put_sink(v);
    stamp(v, MEMORY, 4);
    vfio_put(v, w.liobn, w.addr, MEMORY | TCE_RW, H_SUCCESS);
    put_list(v, &w, last - PAGE, 12, MEMORY + PAGE, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, MEMORY | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, last_default, (MEMORY + 3 * PAGE) | TCE_RW,
             H_SUCCESS);
    assert_mappings(v, 6);
    g_assert_cmphex(seen(v, w.addr), ==, MEMORY);
    g_assert_cmphex(seen(v, last - PAGE), ==, MEMORY + PAGE);
    g_assert_cmphex(seen(v, last), ==, MEMORY + 2 * PAGE);
    g_assert_cmphex(seen(v, 0), ==, MEMORY);
    g_assert_cmphex(seen(v, last_default), ==, MEMORY + 3 * PAGE);

    vfio_put(v, w.liobn, last, 0, H_SUCCESS);
    assert_mappings(v, 5);
    g_assert_cmphex(seen(v, last), ==, NOTHING);
    stuff(v, &w, w.addr, (1ULL << 28) / PAGE);
    assert_mappings(v, 3);
    vfio_quit(v);
}

/*
 * The doorbell of MSIs lies on the first 4 KiB of a page of this window: what
 * is left of the page is mapped in parts, and taken back again
 */
#define DOORBELL        (1ULL << 42)
#define DOORBELL_SIZE   4096

static void assert_large(VfioTest *v, uint64_t bus, uint64_t gpa)
{
    const uint64_t places[] = { 0, DOORBELL_SIZE, LARGE / 2, LARGE - PAGE };

    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        if (bus + places[i] != DOORBELL) {
            stamp(v, gpa + places[i], 1);
            g_assert_cmphex(seen(v, bus + places[i]), ==, gpa + places[i]);
        }
    }
}

static void test_doorbell(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, LARGE_SHIFT, 43, WINDOW_LIMITED);
    unsigned parts = LARGE_SHIFT - 12;

    put_sink(v);
    put_list(v, &w, DOORBELL - LARGE, LARGE_SHIFT, MEMORY, 3);
    assert_mappings(v, 3 + parts);
    for (unsigned i = 0; i < 3; i++) {
        assert_large(v, DOORBELL - LARGE + i * LARGE, MEMORY + i * LARGE);
    }

    vfio_put(v, w.liobn, DOORBELL, 0, H_SUCCESS);
    assert_mappings(v, 3);
    g_assert_cmphex(seen(v, DOORBELL + DOORBELL_SIZE), ==, NOTHING);
    g_assert_cmphex(seen(v, DOORBELL + LARGE - PAGE), ==, NOTHING);
    vfio_put(v, w.liobn, DOORBELL, (MEMORY + 3 * LARGE) | TCE_RW, H_SUCCESS);
    assert_mappings(v, 3 + parts);
    assert_large(v, DOORBELL, MEMORY + 3 * LARGE);

    stuff(v, &w, DOORBELL - LARGE, 3);
    assert_mappings(v, 1);
    vfio_quit(v);
}

/* ---- RAM in several pieces ---- */

/* D4: a list for all guest memory, which is two pieces of @size bytes */
static void check_two(const char *options, uint64_t size)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, options);
    SpaprDdwWindow w = vfio_create(v, LARGE_SHIFT, 35, WINDOW_LIMITED);
    unsigned count = 2 * size >> LARGE_SHIFT;

    put_sink(v);
    stamp(v, size - 2 * PAGE, 4);
    put_list(v, &w, w.addr, LARGE_SHIFT, 0, count);
    for (uint64_t at = size - 2 * PAGE; at < size + 2 * PAGE; at += PAGE) {
        g_assert_cmphex(seen(v, w.addr + at), ==, at);
    }
    assert_mappings(v, count + 1);
    stuff(v, &w, w.addr, count);
    assert_mappings(v, 1);
    vfio_quit(v);
}

static void test_two_nodes(void)
{
    check_two("-m 512M -object memory-backend-ram,id=n0,size=256M "
              "-object memory-backend-ram,id=n1,size=256M "
              "-numa node,memdev=n0 -numa node,memdev=n1 " LOW1, 256 * MiB);
}

/* What can be plugged starts at a multiple of 1 GiB */
static void test_dimm(void)
{
    check_two("-m 1G,maxmem=2G -object memory-backend-ram,id=m,size=1G "
              "-device pc-dimm,memdev=m " LOW1, 1 * GiB);
}

/* ---- what the host refuses ---- */

/*
 * D5: the guest cannot be told, and the log does not grow with what it does.
 * Each of these stores MANY entries; the first line in the log stays the only.
 */
static void put_many(VfioTest *v, const SpaprDdwWindow *w, uint64_t tce)
{
    for (unsigned i = 0; i < MANY; i++) {
        vfio_put(v, w->liobn, w->addr + i * PAGE, tce, H_SUCCESS);
    }
}

static void test_map_refused(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);
    unsigned before = vfio_log_count(v, "");

    vfio_fault(v, "ioctl=map,errno=ENOMEM");
    put_many(v, &w, MEMORY | TCE_RW);
    g_assert_cmpuint(vfio_refused(v, "map"), ==, MANY);
    g_assert_cmpuint(vfio_log_count(v, "vfio_container_dma_map"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, before + 1);

    vfio_no_fault(v);
    vfio_put(v, w.liobn, w.addr, MEMORY | TCE_RW, H_SUCCESS);
    g_assert_cmpuint(vfio_mappings(v), ==, 1);
    vfio_quit(v);
}

static void test_limit(void)
{
    VfioTest *v = vfio_boot("host flavour=type1 page=4K entries=8\n" ONE,
                            NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);
    unsigned before = vfio_log_count(v, "");

    put_many(v, &w, MEMORY | TCE_RW);
    g_assert_cmpuint(vfio_mappings(v), ==, 8);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, before + 1);

    /* Others can be mapped instead */
    vfio_put(v, w.liobn, w.addr, 0, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + MANY * PAGE, MEMORY | TCE_RW, H_SUCCESS);
    g_assert_cmpuint(vfio_mappings(v), ==, 8);
    stuff(v, &w, w.addr, 2 * MANY);
    g_assert_cmpuint(vfio_mappings(v), ==, 0);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, before + 1);
    vfio_quit(v);
}

static void test_unmap_refused(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);
    unsigned before = vfio_log_count(v, "");

    put_many(v, &w, MEMORY | TCE_RW);
    vfio_fault(v, "ioctl=unmap,errno=EINVAL");
    put_many(v, &w, 0);
    g_assert_cmpuint(vfio_refused(v, "unmap"), ==, MANY);
    g_assert_cmpuint(vfio_log_count(v, "vfio_container_dma_unmap"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, before + 1);
    vfio_no_fault(v);
    vfio_quit(v);
}

/* A large page whose halves lie in two devices: VFIO maps no such thing */
#define BAR_BUS 0x90000000U
#define BAR_GPA 0x200090000000ULL

static void set_bar(SpaprDmaTest *t, unsigned slot, uint32_t value)
{
    QPCIBus *bus = qpci_new_spapr(t->qts, &t->alloc);
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));

    g_assert_nonnull(dev);
    qpci_config_writel(dev, PCI_BASE_ADDRESS_2, value);
    qpci_config_writew(dev, PCI_COMMAND, PCI_COMMAND_MEMORY);
    g_free(dev);
    qpci_free_spapr(bus);
}

static void test_two_pieces(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1
                            "-object memory-backend-ram,id=m3,size=8M "
                            "-object memory-backend-ram,id=m4,size=8M "
                            "-device ivshmem-plain,memdev=m3,addr=3.0 "
                            "-device ivshmem-plain,memdev=m4,addr=4.0 ");
    SpaprDdwWindow w = vfio_create(v, LARGE_SHIFT, 43, WINDOW_LIMITED);
    unsigned before = vfio_log_count(v, "");

    set_bar(v->t, 3, BAR_BUS);
    set_bar(v->t, 4, BAR_BUS + LARGE / 2);
    for (unsigned i = 0; i < MANY; i++) {
        vfio_put(v, w.liobn, w.addr + i * LARGE, BAR_GPA | TCE_RW, H_SUCCESS);
    }
    assert_mappings(v, 0);
    g_assert_cmpuint(vfio_log_count(v, "granularity"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, ""), ==, before + 1);
    vfio_quit(v);
}

/* ---- windows and devices come and go ---- */

/* What a notifier hears of a window whose first and last page are mapped */
#define FORGOTTEN   "UNMAP @ 0x100000000 - 0x10fffffff"

/* D15b: who follows a window is told that it ends, however it does */
static void check_window_ends(void (*end)(VfioTest *v))
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1 "-trace vfio_iommu_map_notify ");
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    stamp(v, MEMORY, 1);
    vfio_put(v, w.liobn, w.addr, MEMORY | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + (1ULL << 28) - PAGE, MEMORY | TCE_RW,
             H_SUCCESS);
    assert_mappings(v, 2);
    g_assert_cmpuint(vfio_log_count(v, FORGOTTEN), ==, 0);
    end(v);
    assert_mappings(v, 0);
    g_assert_cmpuint(vfio_log_count(v, FORGOTTEN), ==, 1);

    /* There is nothing left of it in the next one at its place */
    vfio_create(v, 12, 28, WINDOW_LIMITED);
    put_sink(v);
    g_assert_cmphex(seen(v, w.addr), ==, NOTHING);
    vfio_put(v, w.liobn, w.addr, MEMORY | TCE_RW, H_SUCCESS);
    g_assert_cmphex(seen(v, w.addr), ==, MEMORY);
    assert_mappings(v, 2);
    vfio_quit(v);
}

static void end_by_remove(VfioTest *v)
{
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_64), ==, RTAS_OK);
}

static void end_by_reset(VfioTest *v)
{
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
}

static void end_by_machine_reset(VfioTest *v)
{
    qtest_system_reset(v->t->qts);
}

static void test_remove(void)
{
    check_window_ends(end_by_remove);
}

static void test_window_reset(void)
{
    check_window_ends(end_by_reset);
}

static void test_machine_reset(void)
{
    check_window_ends(end_by_machine_reset);
}

/* D15b: the default window stays, but for what was mapped in it */
static void test_machine_reset_default(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, VFIO1);

    put_sink(v);
    stamp(v, MEMORY, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, MEMORY | TCE_RW, H_SUCCESS);
    assert_mappings(v, 2);
    qtest_system_reset(v->t->qts);
    assert_mappings(v, 0);
    stamp(v, MEMORY, 1);
    put_sink(v);
    g_assert_cmphex(seen(v, 0), ==, NOTHING);
    vfio_put(v, LIOBN_DEFAULT, 0, MEMORY | TCE_RW, H_SUCCESS);
    g_assert_cmphex(seen(v, 0), ==, MEMORY);
    vfio_quit(v);
}

/* D3: what was stored before a device came can be taken back page by page */
static void test_plug(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    put_sink(v);
    stamp(v, MEMORY, 512);
    put_list(v, &w, w.addr, 12, MEMORY, 512);
    vfio_assert_plugged(v, PLUG(1));
    vfio_put(v, w.liobn, w.addr + 100 * PAGE, 0, H_SUCCESS);
    g_assert_cmphex(seen(v, w.addr + 99 * PAGE), ==, MEMORY + 99 * PAGE);
    g_assert_cmphex(seen(v, w.addr + 100 * PAGE), ==, NOTHING);
    g_assert_cmphex(seen(v, w.addr + 101 * PAGE), ==, MEMORY + 101 * PAGE);
    assert_mappings(v, 512);
    vfio_quit(v);
}

/* What a device leaves is still there for the next, and for the guest */
static void test_unplug(void)
{
    VfioTest *v = vfio_boot(TYPE1, NULL, LOW1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_LIMITED);

    put_sink(v);
    stamp(v, MEMORY, 3);
    put_list(v, &w, w.addr, 12, MEMORY, 3);
    g_assert_cmphex(seen(v, w.addr + PAGE), ==, MEMORY + PAGE);
    vfio_unplug(v, "vf1", 1);
    assert_mappings(v, 0);
    spapr_assert_tce(v->t, w.liobn, w.addr + PAGE, (MEMORY + PAGE) | TCE_RW);
    vfio_put(v, w.liobn, w.addr + PAGE, 0, H_SUCCESS);

    vfio_assert_plugged(v, PLUG(1));
    assert_mappings(v, 3);
    g_assert_cmphex(seen(v, w.addr), ==, MEMORY);
    g_assert_cmphex(seen(v, w.addr + PAGE), ==, NOTHING);
    g_assert_cmphex(seen(v, w.addr + 2 * PAGE), ==, MEMORY + 2 * PAGE);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/notifier/D3-take-back", test_take_back);
    qtest_add_func("spapr-vfio/notifier/D3-replace", test_replace);
    qtest_add_func("spapr-vfio/notifier/D3-permission", test_permission);
    qtest_add_func("spapr-vfio/notifier/D3-random", test_random);
    qtest_add_func("spapr-vfio/notifier/D3-plug", test_plug);
    qtest_add_func("spapr-vfio/notifier/unplug", test_unplug);
    qtest_add_func("spapr-vfio/notifier/ends", test_ends);
    qtest_add_func("spapr-vfio/notifier/doorbell", test_doorbell);
    qtest_add_func("spapr-vfio/notifier/D4-nodes", test_two_nodes);
    qtest_add_func("spapr-vfio/notifier/D4-dimm", test_dimm);
    qtest_add_func("spapr-vfio/notifier/D5-map", test_map_refused);
    qtest_add_func("spapr-vfio/notifier/D5-limit", test_limit);
    qtest_add_func("spapr-vfio/notifier/D5-unmap", test_unmap_refused);
    qtest_add_func("spapr-vfio/notifier/D5-two-pieces", test_two_pieces);
    qtest_add_func("spapr-vfio/notifier/D15b-remove", test_remove);
    qtest_add_func("spapr-vfio/notifier/D15b-window-reset",
                   test_window_reset);
    qtest_add_func("spapr-vfio/notifier/D15b-machine-reset",
                   test_machine_reset);
    qtest_add_func("spapr-vfio/notifier/machine-reset-default",
                   test_machine_reset_default);
    return g_test_run();
}
