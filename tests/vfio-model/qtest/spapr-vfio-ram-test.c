/*
 * Guest RAM that devices of the host reach
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-spapr.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "spapr-vfio-common.h"

/* Where the first DIMM goes */
#define DIMM            (1 * GiB)

static void backend_add(VfioTest *v, const char *id)
{
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-ram', 'id': %s,"
                             " 'size': 268435456 } }", id);
}

static void backend_del(VfioTest *v, const char *id)
{
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-del',"
                             " 'arguments': { 'id': %s } }", id);
}

/* C3: the host does not take the RAM, so the guest does not get it */
static void test_dimm_refused(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv memlock=300M\n" ONE, NULL,
                            VFIO1);

    backend_add(v, "m1");
    vfio_assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                            " 'memdev': 'm1'}", "refuses to register RAM");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_PARAMETER);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    backend_del(v, "m1");
    vfio_quit(v);
}

/* The second host container does not take it, so the first gives it back */
static void test_dimm_refused_later(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1 VFIO2);

    backend_add(v, "m1");
    vfio_fault(v, "ioctl=register,nth=2,errno=ENOMEM");
    vfio_assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                            " 'memdev': 'm1'}", "refuses to register RAM");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    backend_del(v, "m1");
    vfio_quit(v);
}

/* Plugging fails after the host was asked: nothing stays registered */
static void test_dimm_not_plugged(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    backend_add(v, "m1");
    vfio_assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'node': 7,"
                            " 'memdev': 'm1'}", "node");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (DIMM + PAGE) | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 0, DIMM);
    vfio_quit(v);
}

/* C10: pages of a DIMM are too small for a window that the host has */
static void test_dimm_small_pages(void)
{
    VfioHugeRam ram = vfio_huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(4 * KiB, "host flavour=powernv backing=2M\n"
                                  ONE, ram.options);
    SpaprDdwWindow w = vfio_create(v, 21, 30, WINDOW_64);

    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/21:0]");
    backend_add(v, "m1");
    vfio_assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1',"
                            " 'memdev': 'm1'}", "takes only pages of 2^21");
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    vfio_create(v, 21, 30, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/12:0]");
    vfio_quit(v);
    vfio_huge_ram_free(&ram);
}

/* Of a run half of which is in memory that is gone, a device gets the rest */
static void test_dimm_gone(void)
{
    const uint64_t border = DIMM + 256 * MiB;
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    backend_add(v, "m1");
    backend_add(v, "m2");
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd2', 'memdev': 'm2'}");
    for (int i = -2; i < 2; i++) {
        vfio_put(v, LIOBN_DEFAULT, (i + 2) * PAGE, (border + i * PAGE) | TCE_RW,
                 H_SUCCESS);
    }
    /* No guest has seen it, thus none is asked */
    qtest_qmp_assert_success(v->t->qts, "{'execute': 'device_del',"
                             " 'arguments': { 'id': 'd2' } }");
    qtest_qmp_eventwait(v->t->qts, "DEVICE_DELETED");
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:2]");
    vfio_assert_dma(v, 1, 0, border - 2 * PAGE);
    g_assert_cmpuint(vfio_dma_copy(v, 1, 2 * PAGE, 0), ==, RESULT_READ_FAULT);
    vfio_quit(v);
}

/* What a guest sees of an NVDIMM is an alias, which leaves its label out */
static void test_dimm_alias(void)
{
    const char *nvdimm = "{'driver': 'nvdimm', 'id': 'd1', 'memdev': 'm1',"
                         " 'label-size': 131072, 'uuid':"
                         " '4e1d5e1c-9b9d-4f4e-8b0a-0a5d3b5d1c77'}";
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "-machine nvdimm=on " VFIO1);

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-ram', 'id': 'm1',"
                             " 'size': 268566528 } }");
    vfio_fault(v, "ioctl=register,errno=ENOMEM,once");
    vfio_assert_not_plugged(v, nvdimm, "refuses to register RAM");
    vfio_assert_plugged(v, nvdimm);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, DIMM | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (DIMM + PAGE) | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 0, DIMM);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (DIMM + 256 * MiB) | TCE_RW, H_PARAMETER);
    vfio_quit(v);
}

/* A bus address of the first PHB, and where it appears in guest memory */
#define BAR_BUS         0x90000000
#define BAR_GPA         0x200090000000ULL
#define BAR_SIZE        (1 * MiB)

static void set_bar(SpaprDmaTest *t, unsigned slot, unsigned offset,
                    uint32_t value, uint16_t command)
{
    QPCIBus *bus = qpci_new_spapr(t->qts, &t->alloc);
    QPCIDevice *dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));

    g_assert_nonnull(dev);
    qpci_config_writew(dev, PCI_COMMAND, 0);
    qpci_config_writel(dev, offset, value);
    qpci_config_writew(dev, PCI_COMMAND, command);
    g_free(dev);
    qpci_free_spapr(bus);
}

/* Is @path in the memory of QEMU? */
static bool is_mapped(SpaprDmaTest *t, const char *path)
{
    g_autofree char *name = g_strdup_printf("/proc/%d/maps",
                                            (int)qtest_pid(t->qts));
    g_autofree char *maps = NULL;

    g_assert(g_file_get_contents(name, &maps, NULL, NULL));
    return strstr(maps, path);
}

/* A device in @slot with RAM from @path, which is not in guest memory yet */
static void plug_ram(VfioTest *v, const char *id, unsigned slot,
                     const char *path)
{
    g_autofree char *device = g_strdup_printf(
        "{'driver': 'ivshmem-plain', 'id': 'dev%s', 'memdev': '%s',"
        " 'addr': '%u.0'}", id, id, slot);

    qtest_qmp_assert_success(v->t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': "
                             "'memory-backend-file', 'id': %s,"
                             " 'mem-path': %s, 'share': true,"
                             " 'size': 1048576 } }", id, path);
    vfio_assert_plugged(v, device);
}

/* A device whose ROM of @size bytes is at BAR_GPA */
static VfioTest *boot_with_rom(size_t size)
{
    g_autofree char *dir = vfio_make_dir();
    g_autofree char *path = g_build_filename(dir, "rom", NULL);
    g_autofree char *rom = g_malloc0(size);
    g_autofree char *options = g_strdup_printf(VFIO1 "-device pci-testdev,"
                                               "addr=3.0,romfile=%s", path);
    VfioTest *v;

    g_assert(g_file_set_contents(path, rom, size, NULL));
    v = vfio_boot(POWERNV ONE, NULL, options);
    g_assert_cmpint(unlink(path), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
    set_bar(v->t, 3, PCI_ROM_ADDRESS, BAR_BUS | PCI_ROM_ADDRESS_ENABLE,
            PCI_COMMAND_MEMORY);
    return v;
}

/*
 * C5: the same with RAM, of which a host with large pages takes only whole
 * ones; that is told once.
 */
static void test_ram_less_than_page(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K\n"
                                  ONE, VFIO1
                                  "-object memory-backend-ram,id=m3,size=4K "
                                  "-object memory-backend-ram,id=m4,size=4K "
                                  "-device ivshmem-plain,memdev=m3,addr=3.0 "
                                  "-device ivshmem-plain,memdev=m4,addr=4.0 ");

    for (unsigned i = 0; i < 2; i++) {
        uint64_t offset = i * BAR_SIZE;

        set_bar(v->t, 3 + i, PCI_BASE_ADDRESS_2, BAR_BUS + offset,
                PCI_COMMAND_MEMORY);
        vfio_put(v, LIOBN_DEFAULT, 0, (BAR_GPA + offset) | TCE_RW,
                 H_NOT_ENOUGH_RESOURCES);
    }
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "does not fill whole host pages"), ==,
                     1);

    /* D17: a device may come when it is there already */
    vfio_unplug(v, "vf1", 1);
    vfio_assert_plugged(v, PLUG(1));
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_quit(v);
}

/*
 * D16: RAM that QEMU may only read cannot be pinned, so devices do not reach
 * it, and nobody is refused for it, whatever comes first
 */
#define NVDIMM_SIZE (268435456 + 131072)    /* with its label */

static void check_ram_read_only(const char *device, const char *later)
{
    g_autofree char *path = NULL, *options = NULL;
    int fd = g_file_open_tmp("spapr-vfio-ro-XXXXXX", &path, NULL);
    VfioTest *v;

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, NVDIMM_SIZE), ==, 0);
    close(fd);
    options = g_strdup_printf("-machine nvdimm=on -object memory-backend-file,"
                              "id=ro,size=%u,mem-path=%s,readonly=on %s",
                              NVDIMM_SIZE, path, device);
    v = vfio_boot(POWERNV ONE, NULL, options);
    if (later) {
        vfio_assert_plugged(v, later);
    }
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, DIMM | TCE_RO, H_NOT_ENOUGH_RESOURCES);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:1]");
    g_assert_cmpuint(vfio_log_count(v, "refuses to register"), ==, 0);
    g_assert_cmpint(unlink(path), ==, 0);
    vfio_quit(v);
}

#define RO_DIMM "-device nvdimm,id=d1,memdev=ro,unarmed=on,label-size=128K," \
                "uuid=4e1d5e1c-9b9d-4f4e-8b0a-0a5d3b5d1c77 "

static void test_ram_read_only(void)
{
    check_ram_read_only(RO_DIMM VFIO1, NULL);
    check_ram_read_only(RO_DIMM, PLUG(1));
    check_ram_read_only(VFIO1, "{'driver': 'nvdimm', 'id': 'd1',"
                        " 'memdev': 'ro', 'unarmed': true,"
                        " 'label-size': 131072,"
                        " 'uuid': '4e1d5e1c-9b9d-4f4e-8b0a-0a5d3b5d1c77'}");
}

/* Whatever permission a TCE gives, a device cannot write to ROM */
static void test_ram_permissions(void)
{
    VfioTest *v = boot_with_rom(64 * KiB);

    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_WO, H_SUCCESS);
    g_assert_cmpuint(vfio_dma_copy(v, 1, 0, PAGE), ==, RESULT_OK);
    g_assert_cmpuint(vfio_dma_copy(v, 1, PAGE, 0), ==, RESULT_READ_FAULT);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    g_assert_cmpuint(vfio_dma_copy(v, 1, PAGE, 0), ==, RESULT_WRITE_FAULT);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_WO, H_NOT_ENOUGH_RESOURCES);
    vfio_quit(v);
}

/* Memory of a device of the host is no RAM, so another cannot reach it */
static void test_ram_of_device(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2);

    set_bar(v->t, 2, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, JUST_DEFAULT);
    set_bar(v->t, 2, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    vfio_quit(v);
}

/*
 * C6: RAM is looked for in system memory, where no IOMMU lies: windows are in
 * the address spaces of buses.
 */
static void test_ram_iommu(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1 "-device spapr-vscsi ");
    g_autofree char *all = NULL;
    g_auto(GStrv) views = NULL;
    unsigned found = 0, windows = 0;

    vfio_create(v, 16, 28, WINDOW_64);
    all = qtest_hmp(v->t->qts, "info mtree -f");
    views = g_strsplit(all, "FlatView #", -1);
    for (char **view = views; *view; view++) {
        bool iommu = strstr(*view, "tce-iommu");

        if (strstr(*view, "AS \"memory\"")) {
            found++;
            g_assert_false(iommu);
        }
        windows += iommu;
    }
    g_assert_cmpuint(found, ==, 1);
    /* The PHB's and the VIO device's */
    g_assert_cmpuint(windows, ==, 2);
    vfio_quit(v);
}

/*
 * C21: devices keep RAM locked, so nobody may discard it meanwhile.  Nobody
 * loses by that: pseries has no virtio-mem, which could tell what to lock.
 */
static void test_ram_discard(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    QDict *answer = qtest_qmp(v->t->qts, "{'execute': 'qom-list-types',"
                              " 'arguments': { 'implements': 'virtio-mem' } }");

    g_assert_true(qlist_empty(qdict_get_qlist(answer, "return")));
    qobject_unref(answer);
    vfio_quit(v);
}

/*
 * RAM vanishes while it is mapped: it is unregistered all the same, after the
 * host was told to unmap it; other RAM that follows it stays.
 */
static void test_ram_leaves_mapped(void)
{
    const uint64_t border = BAR_GPA + BAR_SIZE;
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *one = g_build_filename(v->dir, "one", NULL);
    g_autofree char *two = g_build_filename(v->dir, "two", NULL);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    plug_ram(v, "m1", 3, one);
    plug_ram(v, "m2", 4, two);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE,
            PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 3);
    /* Four pages in a row, the border in their middle, and one elsewhere */
    for (int i = -2; i < 2; i++) {
        vfio_put(v, w.liobn, w.addr + (i + 2) * PAGE,
                 (border + i * PAGE) | TCE_RW, H_SUCCESS);
    }
    vfio_put(v, LIOBN_DEFAULT, 0, border | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr + PAGE, border - PAGE);

    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    vfio_assert_dma(v, 1, w.addr, border - 2 * PAGE);
    spapr_assert_tce(v->t, w.liobn, w.addr + 2 * PAGE, border | TCE_RW);

    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:0]");
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr, w.addr + PAGE), ==,
                     RESULT_READ_FAULT);

    /* It comes back, and with it what is stored from now on */
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE,
            PCI_COMMAND_MEMORY);
    vfio_put(v, LIOBN_DEFAULT, 0, border | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (border + PAGE) | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 0, border);
    set_bar(v->t, 4, PCI_BASE_ADDRESS_2, BAR_BUS + BAR_SIZE, 0);
    unlink(one);
    unlink(two);
    vfio_quit(v);
}

/* A page of a window over two pieces of RAM, each too small for a host page */
static void test_ram_in_pieces(void)
{
    VfioHugeRam ram = vfio_huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(4 * KiB, "host flavour=powernv backing=2M\n"
                                  ONE, ram.options);
    SpaprDdwWindow w = vfio_create(v, 21, 30, WINDOW_64);

    for (unsigned i = 0; i < 2; i++) {
        const char *id = i ? "m2" : "m1";
        g_autofree char *path = g_build_filename(v->dir, id, NULL);

        plug_ram(v, id, 3 + i, path);
        g_assert_cmpint(unlink(path), ==, 0);
        set_bar(v->t, 3 + i, PCI_BASE_ADDRESS_2, BAR_BUS + i * BAR_SIZE,
                PCI_COMMAND_MEMORY);
    }
    vfio_put(v, w.liobn, w.addr, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+40000000/21:0]");
    vfio_put(v, LIOBN_DEFAULT, 0, (BAR_GPA + BAR_SIZE) | TCE_RW, H_SUCCESS);
    vfio_quit(v);
    vfio_huge_ram_free(&ram);
}

/* C1: RAM that is gone is freed, though it was registered */
static void test_ram_freed(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);
    unsigned tries;

    plug_ram(v, "m1", 3, path);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (BAR_GPA + PAGE) | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 0, BAR_GPA);
    g_assert_cmpint(spapr_stuff_tce(v->t, LIOBN_DEFAULT, 0, 0, 2), ==,
                    H_SUCCESS);

    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_unplug(v, "devm1", 3);
    g_assert_true(is_mapped(v->t, path));
    backend_del(v, "m1");
    /* RCU does it, at its leisure */
    for (tries = 0; tries < 500 && is_mapped(v->t, path); tries++) {
        g_usleep(10000);
    }
    g_assert_false(is_mapped(v->t, path));
    g_assert_cmpint(unlink(path), ==, 0);
    vfio_quit(v);
}

/*
 * C5: 2 KiB of ROM cannot be registered, which is no failure; the guest hears
 * that devices do not reach it.
 */
static void test_ram_small(void)
{
    VfioTest *v = boot_with_rom(2 * KiB);

    g_assert_cmpuint(vfio_regions(v), ==, 1);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RO, H_PARAMETER);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:1]");
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 0);
    vfio_quit(v);
}

/*
 * RAM that appears without having been asked about and is refused: the log has
 * it once, devices do not reach it, and it goes without a trace.
 */
static void test_ram_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);

    plug_ram(v, "m1", 3, path);
    vfio_fault(v, "ioctl=register,errno=EPERM");
    for (unsigned i = 0; i < 3; i++) {
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
        g_assert_cmpuint(vfio_regions(v), ==, 1);
        vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_NOT_ENOUGH_RESOURCES);
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    }
    g_assert_cmpuint(vfio_log_count(v, "refuses to register RAM"), ==, 1);
    /* A higher limit would be of no use */
    g_assert_cmpuint(vfio_log_count(v, "RLIMIT_MEMLOCK"), ==, 0);
    vfio_no_fault(v);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
    set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    unlink(path);
    vfio_quit(v);
}

/* RAM that is too small was told of before: a refusal is told all the same */
static void test_ram_small_and_refused(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K\n"
                                  ONE, "-object memory-backend-ram,id=small,"
                                  "size=4K -device spapr-dma-test-region,"
                                  "id=bus,addr=0x10000000,size=4K,"
                                  "memdev=small,shown=off " VFIO1);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);

    vfio_show(v, "bus", true);
    vfio_show(v, "bus", false);
    g_assert_cmpuint(vfio_log_count(v, "does not fill whole host pages"), ==,
                     1);
    plug_ram(v, "m1", 3, path);
    vfio_fault(v, "ioctl=register,errno=EPERM");
    for (unsigned i = 0; i < 2; i++) {
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
    }
    g_assert_cmpuint(vfio_log_count(v, "refuses to register RAM"), ==, 1);
    unlink(path);
    vfio_quit(v);
}

/*
 * One of two containers may not register RAM.  The host maps it there all the
 * same, since the other one has it registered, so it is unmapped from both when
 * it goes.
 */
static void test_ram_refused_to_one(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1 VFIO2);
    g_autofree char *path = g_build_filename(v->dir, "ram", NULL);

    plug_ram(v, "m1", 3, path);
    for (unsigned nth = 1; nth <= 2; nth++) {
        g_autofree char *rule = g_strdup_printf(
            "ioctl=register,nth=%u,errno=EPERM,once", nth);

        vfio_fault(v, rule);
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, PCI_COMMAND_MEMORY);
        vfio_no_fault(v);
        g_assert_cmpuint(vfio_regions(v), ==, 2);
        vfio_put(v, LIOBN_DEFAULT, 0, BAR_GPA | TCE_RW, H_SUCCESS);
        vfio_assert_host(v, "[0+40000000/12:1][0+40000000/12:1]");
        set_bar(v->t, 3, PCI_BASE_ADDRESS_2, BAR_BUS, 0);
        g_assert_cmpuint(vfio_regions(v), ==, 1);
        vfio_assert_host(v, "[0+40000000/12:0][0+40000000/12:0]");
    }
    unlink(path);
    vfio_quit(v);
}

/* Two DIMMs cannot be registered: the first is what the user hears of */
static void test_ram_refused_at_start(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    backend_add(v, "m1");
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd1', 'memdev': 'm1'}");
    vfio_fault(v, "ioctl=register,errno=EPERM");
    vfio_assert_not_plugged(v, PLUG(1), "register RAM \"ppc_spapr.ram\"");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_regions(v), ==, 0);
    vfio_assert_plugged(v, PLUG(1));
    g_assert_cmpuint(vfio_regions(v), ==, 2);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/dimm/C3-refused", test_dimm_refused);
    qtest_add_func("spapr-vfio/dimm/C3-refused-later",
                   test_dimm_refused_later);
    qtest_add_func("spapr-vfio/dimm/not-plugged", test_dimm_not_plugged);
    qtest_add_func("spapr-vfio/dimm/gone", test_dimm_gone);
    qtest_add_func("spapr-vfio/dimm/alias", test_dimm_alias);
    qtest_add_func("spapr-vfio/dimm/C10-small-pages", test_dimm_small_pages);
    qtest_add_func("spapr-vfio/ram/C1-freed", test_ram_freed);
    qtest_add_func("spapr-vfio/ram/C5-small", test_ram_small);
    qtest_add_func("spapr-vfio/ram/C5-less-than-page",
                   test_ram_less_than_page);
    qtest_add_func("spapr-vfio/ram/permissions", test_ram_permissions);
    qtest_add_func("spapr-vfio/ram/D16-read-only", test_ram_read_only);
    qtest_add_func("spapr-vfio/ram/of-device", test_ram_of_device);
    qtest_add_func("spapr-vfio/ram/in-pieces", test_ram_in_pieces);
    qtest_add_func("spapr-vfio/ram/C6-no-iommu", test_ram_iommu);
    qtest_add_func("spapr-vfio/ram/C21-no-discard", test_ram_discard);
    qtest_add_func("spapr-vfio/ram/leaves-mapped", test_ram_leaves_mapped);
    qtest_add_func("spapr-vfio/ram/refused", test_ram_refused);
    qtest_add_func("spapr-vfio/ram/small-and-refused",
                   test_ram_small_and_refused);
    qtest_add_func("spapr-vfio/ram/refused-to-one", test_ram_refused_to_one);
    qtest_add_func("spapr-vfio/ram/refused-at-start",
                   test_ram_refused_at_start);
    return g_test_run();
}
