/*
 * What windows devices of the host leave to be offered
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "spapr-vfio-common.h"

static void test_query(void)
{
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), LIMITED ONE, NULL,
                                  VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, 1ULL << (54 - 24));
    g_assert_cmphex(q.page_sizes, ==, 0x107);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 55).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/*
 * A table for 2^54 bytes in pages of 64 KiB would have three levels of 2^13
 * entries, which is 2^55 bytes and more than Linux makes: the offer is what the
 * host does make.
 */
static void test_query_levels(void)
{
    VfioHugeRam ram = vfio_huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(4 * KiB, "host flavour=powernv page=4K"
                                  " pagesizes=4K,64K backing=2M"
                                  " memlock=4096T\n" ONE, ram.options);

    g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, 1ULL << (52 - 24));
    vfio_create(v, 24, 52, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0"
                     " 800000000000000+10000000000000/16:0]");
    vfio_quit(v);
    vfio_huge_ram_free(&ram);
}

static void test_query_no_limit(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, 1);
    /* D10: the host counts nothing, but a guest needs no more than that */
    g_assert_cmphex(q.largest, ==, 16 * GiB >> 16);
    g_assert_cmphex(q.page_sizes, ==, 0x107);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 43).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 35).status, ==,
                    RTAS_HW_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_create(v, 16, 34, WINDOW_64);
    vfio_quit(v);
}

/*
 * B4: tables of windows are locked memory.  RAM and the default window's leave
 * less than 60 MiB, of which a page of 16 MiB takes 64 KiB for its 2^12 entries
 * of 16 bytes, and a word for KVM.
 */
static void test_query_memlock(void)
{
    const char *wrapper = vfio_unprivileged();
    VfioTest *v = vfio_boot_under(wrapper, "host flavour=powernv memlock=320M\n"
                                  ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);
    SpaprDdwWindow w;

    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, 512);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 24 + 10).status, ==,
                    RTAS_PARAM_ERROR);
    w = vfio_create(v, 24, 24 + 9, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+200000000/12:0]");
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    vfio_quit(v);

    /* Nothing is left but for the default window */
    v = vfio_boot_under(wrapper, "host flavour=powernv memlock=261M\n" ONE,
                        NULL, VFIO1);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmphex(q.largest, ==, 8);
    g_assert_cmpuint(q.windows, ==, 1);
    vfio_quit(v);
    v = vfio_boot_under(wrapper, "host flavour=powernv memlock=266272K\n" ONE,
                        NULL, VFIO1);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmphex(q.largest, ==, 0);
    g_assert_cmpuint(q.windows, ==, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 24, 24).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_quit(v);
}

/* The host has fewer windows and pages than the PHB would allow */
static void test_query_small_host(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv windows=1 pagesizes=64K\n"
                            ONE, NULL, "-global spapr-pci-host-bridge.pgsz="
                            "0x11000 ");
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.page_sizes, ==, 3);
    vfio_assert_not_plugged(v, PLUG(1), "no DMA page size");
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    vfio_quit(v);
}

static void test_query_one_window(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv windows=1\n" ONE, NULL,
                            VFIO1);

    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    vfio_create(v, 16, 28, 0);
    vfio_assert_host(v, "[0+10000000/12:0]");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* D9: a partition has a place for the default window and one for any other */
static void test_query_partition(void)
{
    VfioTest *v = vfio_boot("host flavour=lpar windows=1\n" ONE, NULL, VFIO1);
    SpaprDdwWindow w;

    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    w = vfio_create(v, 16, 34, WINDOW_64);
    vfio_assert_host(v, "[800000000000000+400000000/12:0]");
    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    spapr_assert_default(v->t);
    vfio_assert_host(v, JUST_DEFAULT);
    /* So small in the smallest pages that the host could mistake it */
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    w = vfio_create(v, 12, 28, WINDOW_64);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);

    v = vfio_boot("host flavour=lpar windows=2\n" ONE, NULL, VFIO1);
    spapr_assert_available(v->t, 1);
    w = vfio_create(v, 16, 34, WINDOW_64);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);

    /* The default window comes first for a device that comes later */
    v = vfio_boot("host flavour=lpar windows=2\n" ONE, NULL, "");
    vfio_create(v, 16, 34, WINDOW_64);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+400000000/12:0]");
    vfio_quit(v);
}

/* A host that refuses the question about larger pages has one order for all */
static void test_query_not_probed(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w;

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM,nth=3,once");
    vfio_assert_plugged(v, PLUG(1));
    g_assert_cmpuint(vfio_refused(v, "tce_create"), ==, 1);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_available(v->t, 1);
    w = vfio_create(v, 16, 34, WINDOW_64);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

static void test_query_v1(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, VFIO1);
    SpaprDdwQuery q = spapr_ddw_query(v->t, 6);

    g_assert_cmpuint(q.windows, ==, 0);
    g_assert_cmphex(q.page_sizes, ==, 3);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, (2 * GiB) >> 16);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 32).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_create(v, 16, 31, 0);
    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

/* What the device tree says of limited mode, in ibm,ddw-extensions */
static void assert_limited_in_tree(VfioTest *v, bool offered)
{
    const uint32_t cells[] = {
        cpu_to_be32(3), cpu_to_be32(0x2029), cpu_to_be32(1),
        cpu_to_be32(offered),
    };
    g_autofree char *path = g_build_filename(v->dir, "dtb", NULL);
    g_autofree char *dtb = NULL;
    gsize size;

    qtest_qmp_assert_success(v->t->qts, "{ 'execute': 'dumpdtb', 'arguments':"
                             " { 'filename': %s } }", path);
    g_assert_true(g_file_get_contents(path, &dtb, &size, NULL));
    unlink(path);
    g_assert_nonnull(memmem(dtb, size, cells, sizeof(cells)));
}

/* The guest's window would start where that of the host has ended */
static void test_query_v1_beyond(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, "-global "
                            "spapr-pci-host-bridge.dma_win_addr=0x80000000 ");

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_plugged(v, PLUG(1));
    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_quit(v);
}

/*
 * Without a limit a guest is offered what could map its memory twice, whose
 * addresses need 35 bits here.
 */
static void test_query_twice(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL,
                            "-m 256M,slots=4,maxmem=24G " VFIO1);

    g_assert_cmphex(spapr_ddw_query(v->t, 6).largest, ==, 64 * GiB >> 16);
    vfio_create(v, 16, 36, WINDOW_64);
    vfio_quit(v);
}

static void test_limited_not_offered(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    assert_limited_in_tree(v, false);
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_create(v, 16, 28, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    vfio_quit(v);
}

static void test_limited_offered(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv start64=4G\n" ONE, NULL,
                            VFIO1);

    assert_limited_in_tree(v, true);
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_OK);
    vfio_create(v, 16, 28, WINDOW_LIMITED);
    vfio_assert_host(v, "[0+40000000/12:0 100000000+10000000/12:0]");
    vfio_quit(v);
}

/* Six calls, and nothing of them is left */
static void test_probe(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, 3 + 1);
    g_assert_cmpuint(vfio_calls(v, "tce_remove"), ==, 1 + 3);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* A host that cannot be probed still works */
static void test_probe_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    vfio_assert_plugged(v, PLUG(1));
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_create(v, 16, 28, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/query/B4", test_query);
    qtest_add_func("spapr-vfio/query/levels", test_query_levels);
    qtest_add_func("spapr-vfio/query/D10-no-limit", test_query_no_limit);
    qtest_add_func("spapr-vfio/query/B4-memlock", test_query_memlock);
    qtest_add_func("spapr-vfio/query/small-host", test_query_small_host);
    qtest_add_func("spapr-vfio/query/one-window", test_query_one_window);
    qtest_add_func("spapr-vfio/query/D9-partition", test_query_partition);
    qtest_add_func("spapr-vfio/query/not-probed", test_query_not_probed);
    qtest_add_func("spapr-vfio/query/v1", test_query_v1);
    qtest_add_func("spapr-vfio/query/v1-beyond", test_query_v1_beyond);
    qtest_add_func("spapr-vfio/query/twice", test_query_twice);
    qtest_add_func("spapr-vfio/limited/not-offered", test_limited_not_offered);
    qtest_add_func("spapr-vfio/limited/offered", test_limited_offered);
    qtest_add_func("spapr-vfio/probe/calls", test_probe);
    qtest_add_func("spapr-vfio/probe/refused", test_probe_refused);
    return g_test_run();
}
