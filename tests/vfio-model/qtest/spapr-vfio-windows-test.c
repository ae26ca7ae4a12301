/*
 * DMA windows of a host: made, mapped and reset
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr-vfio-common.h"

/* A window that the host does not make leaves nothing behind */
static void test_create_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2);
    unsigned before = vfio_calls(v, "tce_create");

    vfio_fault(v, "ioctl=tce_create,errno=EPERM");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_HW_ERROR);
    /* No other number of levels helps against that */
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 1);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);
    spapr_assert_no_window(v->t, LIOBN_64);

    vfio_no_fault(v);
    vfio_create(v, 16, 28, WINDOW_64);
    vfio_quit(v);
}

/* Nor does it leave anything in QEMU, however often a guest tries */
static void test_create_refused_often(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    uint64_t before = 0;

    vfio_fault(v, "ioctl=tce_create,errno=EPERM");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==, RTAS_HW_ERROR);
    /* The arguments are still there */
    for (unsigned i = 0; i < 21000; i++) {
        if (i == 1000) {
            before = spapr_dma_memory(v->t, "VmRSS:");
        }
        qtest_rtas_call(v->t->qts, "ibm,create-pe-dma-window", 5,
                        v->t->scratch, 4, v->t->scratch + PAGE / 2);
    }
    g_assert_cmpuint(spapr_dma_memory(v->t, "VmRSS:"), <, before + 1 * MiB);
    vfio_quit(v);
}

/* C9: tried again with more levels, but only as many as there are */
static void test_create_levels(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    unsigned before = vfio_calls(v, "tce_create");
    QDict *window;

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 26).status, ==,
                    RTAS_HW_ERROR);
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 5);
    vfio_no_fault(v);

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM,once");
    vfio_create(v, 16, 26, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+4000000/12:0]");
    window = spapr_view_window(v->t, LIOBN_64);
    spapr_assert_json(window, "containers.0.levels", "2");
    qobject_unref(window);
    vfio_quit(v);
}

/* C7: more entries than 32 bits count, on a host that knows three levels */
static void test_create_huge(void)
{
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), "host flavour=powernv"
                                  " levels=3 memlock=4096T\n" ONE, NULL,
                                  VFIO1);

    vfio_create(v, 24, 48, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0"
                     " 800000000000000+1000000000000/12:0]");
    vfio_quit(v);
}

/* C8: 2^32 entries of 2 MiB, which could seem to need no call at all */
static void test_create_huge_pages(void)
{
    VfioHugeRam ram = vfio_huge_ram_new(VFIO1);
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K"
                                  " backing=2M memlock=4096T\n" ONE,
                                  ram.options);

    vfio_create(v, 24, 53, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0"
                     " 800000000000000+20000000000000/21:0]");
    vfio_quit(v);
    vfio_huge_ram_free(&ram);
}

/*
 * C24: a host that knows one level is asked for one, however few entries there
 * are.
 */
static void test_create_one_level(void)
{
    VfioTest *v = vfio_boot_pages(64 * KiB, "host flavour=powernv page=64K"
                                  " levels=1\n" ONE, VFIO1);

    vfio_create(v, 16, 29, WINDOW_64);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+20000000/16:0]");
    vfio_quit(v);
}

/*
 * B4, C11: the host puts windows elsewhere, which the guest hears when it asks
 * what there is; others live.
 */
#define ELSEWHERE "host flavour=powernv start64=0x400000000000000\n" ONE

static void test_create_elsewhere(void)
{
    VfioTest *v = vfio_boot(ELSEWHERE, NULL, VFIO1);

    spapr_assert_available(v->t, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset_mode(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(v->t, 1);
    vfio_create(v, 16, 31, 0);
    vfio_quit(v);
}

/* C11: where the host puts them could not be found out before */
static void test_create_elsewhere_unknown(void)
{
    VfioTest *v = vfio_boot(ELSEWHERE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    vfio_assert_plugged(v, PLUG(1));
    spapr_assert_available(v->t, 1);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_HW_ERROR);
    vfio_assert_host(v, JUST_DEFAULT);
    g_assert_cmpuint(vfio_log_count(v, "host puts the DMA window at"), ==, 1);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

/*
 * The guest's default window is the host's upper one, beside which another
 * keeps the lower place meanwhile: that goes even if the host refuses.
 */
static void test_create_above_refused(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv start64=2G\n" ONE, NULL,
                            "-global spapr-pci-host-bridge.dma_win_addr="
                            "0x80000000 " VFIO1);

    vfio_assert_host(v, "[80000000+40000000/12:0]");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_fault(v, "ioctl=tce_create,nth=2,errno=EPERM");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_HW_ERROR);
    vfio_no_fault(v);
    vfio_assert_host(v, "[]");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, "[80000000+40000000/12:0]");
    vfio_quit(v);
}

static void test_map_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwWindow w = vfio_create(v, 16, 28, WINDOW_64);

    vfio_fault(v, "ioctl=map,errno=ENOMEM");
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    spapr_assert_tce(v->t, w.liobn, w.addr, 0);
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr, w.addr + PAGE), ==,
                     RESULT_READ_FAULT);
    vfio_no_fault(v);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* C15: +1 is no success; the real driver has it for some bad addresses */
static void test_map_plus_one(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=map,return=1");
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_NOT_ENOUGH_RESOURCES);
    spapr_assert_tce(v->t, LIOBN_DEFAULT, 0, 0);
    vfio_no_fault(v);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=unmap,return=1");
    vfio_put(v, LIOBN_DEFAULT, 0, 0, H_SUCCESS);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 1);
    vfio_quit(v);
}

/* A10: whatever a guest repeats is in the log once */
static void test_map_flood(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=map,errno=ENOMEM");
    for (unsigned i = 0; i < 1000; i++) {
        vfio_put(v, LIOBN_DEFAULT, i * PAGE, 0x4000000 | TCE_RW,
                 H_NOT_ENOUGH_RESOURCES);
    }
    g_assert_cmpuint(vfio_log_count(v, ""), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "is not mapped for DMA"), ==, 1);
    vfio_quit(v);
}

/* What is cleared is unmapped, and nothing behind it */
static void test_map_stuff(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    for (unsigned i = 2; i < 8; i++) {
        vfio_put(v, LIOBN_DEFAULT, i * PAGE, (0x4000000 + i * PAGE) | TCE_RW,
                 H_SUCCESS);
    }
    vfio_assert_host(v, "[0+40000000/12:6]");
    /* Nothing is mapped in the first of two entries, and more behind them */
    g_assert_cmpint(spapr_stuff_tce(v->t, LIOBN_DEFAULT, PAGE, 0, 2), ==,
                    H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:5]");
    vfio_assert_dma(v, 1, 3 * PAGE, 0x4003000);
    vfio_quit(v);
}

/* C20: what one host container refuses is not mapped in the other either */
static void test_map_two_containers(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2_V1);

    vfio_assert_host(v, JUST_DEFAULT "[]");
    spapr_assert_available(v->t, 0);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_host(v, "[0+40000000/12:2][0+80000000/12:2]");
    vfio_assert_dma(v, 1, 0, 0x4000000);
    vfio_assert_dma(v, 2, 0, 0x4000000);

    for (unsigned i = 1; i <= 2; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=map,container=%u,"
                                                "errno=ENOMEM,once", i);

        vfio_fault(v, rule);
        vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0x4002000 | TCE_RW,
                 H_NOT_ENOUGH_RESOURCES);
        vfio_no_fault(v);
        vfio_assert_host(v, "[0+40000000/12:2][0+80000000/12:2]");
        spapr_assert_tce(v->t, LIOBN_DEFAULT, 2 * PAGE, 0);
    }
    vfio_quit(v);
}

/* The host keeps a window that the guest has removed: nothing is in it */
static void test_remove_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_fault(v, "ioctl=tce_remove,errno=EBUSY,once");
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    g_assert_cmpuint(vfio_dma_copy(v, 1, w.addr, w.addr + PAGE), ==,
                     RESULT_READ_FAULT);
    g_assert_cmpuint(vfio_log_count(v, "host did not remove its DMA window"),
                     ==, 1);
    vfio_quit(v);
}

/* B7: a reset leaves the default window to those who use it */
static void test_reset_keeps_default(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_create(v, 16, 28, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, "[0+40000000/12:2]");
    vfio_assert_dma(v, 1, 0, 0x4000000);
    vfio_quit(v);
}

/* A machine reset that gets no default window is told once, and over */
static void test_reset_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);

    vfio_fault(v, "ioctl=tce_create,errno=EPERM");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    for (unsigned i = 0; i < 10; i++) {
        qtest_system_reset(v->t->qts);
    }
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_HW_ERROR);
    vfio_assert_host(v, "[]");
    g_assert_cmpuint(vfio_log_count(v, "has no default DMA window"), ==, 1);
    vfio_no_fault(v);
    qtest_system_reset(v->t->qts);
    vfio_assert_host(v, JUST_DEFAULT);
    spapr_assert_default(v->t);
    vfio_quit(v);
}

/* A host with one window keeps that, and nothing in it stays mapped */
static void test_v1_ends(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, VFIO1);
    SpaprDdwWindow w;

    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, PAGE, 0x4000000);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpuint(vfio_dma_copy(v, 1, PAGE, PAGE), ==, RESULT_READ_FAULT);

    w = vfio_create(v, 16, 31, 0);
    g_assert_cmpuint(vfio_dma_copy(v, 1, PAGE, PAGE), ==, RESULT_READ_FAULT);
    vfio_put(v, w.liobn, 64 * KiB, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 64 * KiB, 0x4000000);
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    g_assert_cmpuint(vfio_dma_copy(v, 1, 64 * KiB, 64 * KiB), ==,
                     RESULT_READ_FAULT);

    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, PAGE, 0x4000000);
    qtest_system_reset(v->t->qts);
    g_assert_cmpuint(vfio_dma_copy(v, 1, PAGE, PAGE), ==, RESULT_READ_FAULT);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/create/refused", test_create_refused);
    qtest_add_func("spapr-vfio/create/refused-often",
                   test_create_refused_often);
    qtest_add_func("spapr-vfio/create/C9-levels", test_create_levels);
    qtest_add_func("spapr-vfio/create/C7-huge", test_create_huge);
    qtest_add_func("spapr-vfio/create/C8-huge-pages", test_create_huge_pages);
    qtest_add_func("spapr-vfio/create/C24-one-level", test_create_one_level);
    qtest_add_func("spapr-vfio/create/B4-C11-elsewhere",
                   test_create_elsewhere);
    qtest_add_func("spapr-vfio/create/C11-elsewhere-unknown",
                   test_create_elsewhere_unknown);
    qtest_add_func("spapr-vfio/create/above-refused",
                   test_create_above_refused);
    qtest_add_func("spapr-vfio/map/refused", test_map_refused);
    qtest_add_func("spapr-vfio/map/C15-plus-one", test_map_plus_one);
    qtest_add_func("spapr-vfio/remove/refused", test_remove_refused);
    qtest_add_func("spapr-vfio/reset/B7-keeps-default",
                   test_reset_keeps_default);
    qtest_add_func("spapr-vfio/reset/refused", test_reset_refused);
    qtest_add_func("spapr-vfio/map/A10-flood", test_map_flood);
    qtest_add_func("spapr-vfio/map/stuff", test_map_stuff);
    qtest_add_func("spapr-vfio/map/C20-two-containers",
                   test_map_two_containers);
    qtest_add_func("spapr-vfio/windows/v1-ends", test_v1_ends);
    return g_test_run();
}
