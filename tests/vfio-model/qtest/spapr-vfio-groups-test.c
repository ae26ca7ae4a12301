/*
 * IOMMU groups join and leave the windows of a host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr-vfio-common.h"

/* C17: hosts from Linux 6.12 on clear all windows if one group leaves */
static void test_group_leaves(const void *quirk)
{
    VfioTest *v = vfio_boot(POWERNV TWO, quirk, VFIO1 VFIO2);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RO, H_SUCCESS);
    vfio_assert_dma(v, 2, w.addr, 0x4000000);

    vfio_unplug(v, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    vfio_assert_dma(v, 2, w.addr, 0x4000000);
    vfio_quit(v);
}

/* One window's pages cannot be mapped again: the other's are all the same */
static void test_group_leaves_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "detach-clears", VFIO1 VFIO2);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=map,errno=ENOMEM,once");
    vfio_unplug(v, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:0]");
    vfio_assert_plugged(v, PLUG(1));
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=map,errno=ENOMEM,nth=2,once");
    vfio_unplug(v, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:1]");
    g_assert_cmpuint(vfio_log_count(v, "a device lost DMA mappings"), ==, 2);
    vfio_quit(v);
}

/* A group joins a container with windows, and uses what is mapped there */
static void test_group_joins(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_plugged(v, PLUG(2));
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:2]");
    vfio_assert_dma(v, 2, w.addr, 0x4000000);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* A host where a table serves one group only */
static void test_group_own_table(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_plugged(v, PLUG(2));
    vfio_assert_host(v, "[0+40000000/12:2][0+40000000/12:2]");
    vfio_assert_dma(v, 1, 0, 0x4000000);
    vfio_assert_dma(v, 2, 0, 0x4000000);
    vfio_quit(v);
}

/* The same, known before there is any window: the host is a partition */
static void test_group_own_table_early(void)
{
    VfioTest *v = vfio_boot("host flavour=lpar\n" TWO, NULL, VFIO1 VFIO2);

    vfio_assert_host(v, JUST_DEFAULT JUST_DEFAULT);
    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, 0, 0x4000000);
    vfio_assert_dma(v, 2, 0, 0x4000000);
    vfio_quit(v);
}

/*
 * The guest has removed its only window when the second group comes.  Whether
 * the two can share a window shows only when there is one: the host is asked.
 */
static void join_without_window(const char *topology, const char *quirk,
                                const char *before, const char *after)
{
    VfioTest *v = vfio_boot(topology, quirk, VFIO1);
    unsigned creates;
    SpaprDdwWindow w;

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_host(v, "[]");
    creates = vfio_calls(v, "tce_create");
    vfio_assert_plugged(v, PLUG(2));
    vfio_assert_host(v, before);
    g_assert_cmpuint(vfio_calls(v, "tce_create"), >, creates);

    w = vfio_create(v, 12, 28, 0);
    vfio_assert_host(v, after);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_assert_dma(v, 2, w.addr, 0x4000000);
    vfio_unplug(v, "vf1", 1);
    vfio_assert_dma(v, 2, w.addr, 0x4000000);
    vfio_quit(v);
}

static void test_group_joins_without_window(void)
{
    join_without_window(POWERNV TWO, NULL, "[]",
                        "[0+10000000/12:0]");
}

static void test_group_own_table_without_window(void)
{
    join_without_window(POWERNV TWO, "own-table", "[][]",
                        "[0+10000000/12:0]"
                        "[0+10000000/12:0]");
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_data_func("spapr-vfio/group/C17-leaves", "detach-clears",
                        test_group_leaves);
    qtest_add_data_func("spapr-vfio/group/leaves-old-host",
                        "no-detach-clears", test_group_leaves);
    qtest_add_func("spapr-vfio/group/leaves-refused",
                   test_group_leaves_refused);
    qtest_add_func("spapr-vfio/group/joins", test_group_joins);
    qtest_add_func("spapr-vfio/group/own-table", test_group_own_table);
    qtest_add_func("spapr-vfio/group/own-table-early",
                   test_group_own_table_early);
    qtest_add_func("spapr-vfio/group/joins-without-window",
                   test_group_joins_without_window);
    qtest_add_func("spapr-vfio/group/own-table-without-window",
                   test_group_own_table_without_window);
    return g_test_run();
}
