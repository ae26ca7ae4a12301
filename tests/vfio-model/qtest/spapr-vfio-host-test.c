/*
 * Hosts that cannot do what others can
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "spapr-vfio-common.h"

/* The window before the guest's own one has no page size that fits */
static void test_host_page_sizes(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv pagesizes=1G\n" ONE, NULL,
                            "");
    SpaprDdwQuery q;

    vfio_assert_not_plugged(v, PLUG(1), "no DMA page size that fits");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_plugged(v, PLUG(1));
    q = spapr_ddw_query(v->t, 6);
    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.page_sizes, ==, 0);
    g_assert_cmpuint(q.largest, ==, 0);
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 28).status, ==,
                    RTAS_PARAM_ERROR);
    vfio_assert_host(v, "[]");
    vfio_quit(v);
}

static void test_host_keeps_default(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_remove,errno=EBUSY,once");
    vfio_assert_not_plugged(v, PLUG(1), "does not drop its default DMA window");
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* More levels help if the shape is what was wrong, however that is said */
static void test_host_levels_einval(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    unsigned before = vfio_calls(v, "tce_create");

    vfio_fault(v, "ioctl=tce_create,errno=EINVAL");
    g_assert_cmpint(spapr_ddw_create(v->t, 16, 26).status, ==,
                    RTAS_HW_ERROR);
    g_assert_cmpuint(vfio_calls(v, "tce_create"), ==, before + 5);
    vfio_quit(v);
}

/* The lower place cannot be kept, so the host makes the window there */
static void test_host_no_placeholder(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = vfio_create(v, 16, 28, WINDOW_64);

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    /* Three calls find out the places */
    vfio_fault(v, "ioctl=tce_create,nth=4,errno=ENOSPC,once");
    vfio_assert_not_plugged(v, PLUG(1), "host puts the DMA window at");
    vfio_no_fault(v);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[800000000000000+10000000/12:0]");
    g_assert_cmphex(w.addr, ==, WINDOW_64);
    vfio_quit(v);
}

/* Nothing is known of its places; two groups can share it all the same */
static void test_host_places_unknown(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, "");

    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_fault(v, "ioctl=tce_create,errno=ENOSPC,once");
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_plugged(v, PLUG(2));
    vfio_assert_host(v, "[]");
    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/*
 * The host pins five pages of RAM but not the next: no limit is to blame, and
 * none is told to be raised.
 */
static void test_host_pins_some(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    QDict *answer;
    const char *said;

    vfio_fault(v, "ioctl=register,return=5,once");
    answer = qtest_qmp(v->t->qts, "{'execute': 'device_add', 'arguments':"
                       " {'driver': 'vfio-pci', 'id': 'vf1', 'addr': '1.0',"
                       " 'host': '0001:01:00.0'}}");
    said = qdict_get_str(qdict_get_qdict(answer, "error"), "desc");
    g_assert_nonnull(strstr(said, "refuses to register RAM"));
    g_assert_nonnull(strstr(said, "for DMA: Bad address"));
    g_assert_null(strstr(said, "RLIMIT_MEMLOCK"));
    qobject_unref(answer);
    g_assert_cmpuint(vfio_regions(v), ==, 0);
    vfio_assert_plugged(v, PLUG(1));
    vfio_quit(v);
}

/* What another group's leaving took along cannot be mapped again */
static void test_host_no_replay(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "detach-clears", VFIO1 VFIO2);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, 0x6000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, 2 * PAGE, 0x5000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=map,errno=ENOMEM,once");
    vfio_unplug(v, "vf1", 1);
    vfio_assert_host(v, "[0+40000000/12:2]");
    g_assert_cmpuint(vfio_log_count(v, "a device lost DMA mappings"), ==, 1);
    vfio_quit(v);
}

#define P7 "host flavour=p7 dma32=512M\n" ONE

/* The only window of an old host is smaller than the guest's */
static void test_host_small_window(void)
{
    VfioTest *v = vfio_boot(P7, NULL, "");

    vfio_assert_not_plugged(v, PLUG(1),
                            "does not lie in the only one of the host");
    vfio_quit(v);

    /* As large, but it starts later and so ends beyond */
    v = vfio_boot("host flavour=p7 dma32=1G\n" ONE, NULL,
                  "-global spapr-pci-host-bridge.dma_win_addr=0x20000000");
    vfio_assert_not_plugged(v, PLUG(1),
                            "does not lie in the only one of the host");
    vfio_quit(v);

    v = vfio_boot(P7, NULL,
                  "-global spapr-pci-host-bridge.dma_win_size=0x20000000");
    vfio_fault(v, "ioctl=enable,errno=EPERM,once");
    vfio_assert_not_plugged(v, PLUG(1), "does not enable its DMA window");
    vfio_assert_plugged(v, PLUG(1));
    /* It makes its table when something is mapped: no news before that */
    vfio_fault(v, "ioctl=unmap,errno=ENXIO");
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 0);
    vfio_quit(v);
}

/* A machine without DMA windows cannot have such a device */
static void test_other_machine(void)
{
    g_autofree char *dir = vfio_make_dir();
    g_autofree char *topology = g_build_filename(dir, "topology", NULL);
    g_autofree char *errors = NULL;
    g_autofree char *command = g_strdup_printf(
        "%s run --topology %s -- %s -machine mac99 -accel qtest -nodefaults"
        " -display none -device vfio-pci,host=0001:01:00.0",
        getenv("VFIO_MODEL"), topology, getenv("QTEST_QEMU_BINARY"));
    int status;

    g_assert(g_file_set_contents(topology, POWERNV ONE, -1, NULL));
    g_assert(g_spawn_command_line_sync(command, NULL, &errors, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(errors, "not on a bus with sPAPR DMA windows"));
    g_assert_null(strstr(errors, "vfio-model: leak"));
    g_assert_cmpint(unlink(topology), ==, 0);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/host/page-sizes", test_host_page_sizes);
    qtest_add_func("spapr-vfio/host/keeps-default", test_host_keeps_default);
    qtest_add_func("spapr-vfio/host/levels-EINVAL", test_host_levels_einval);
    qtest_add_func("spapr-vfio/host/no-placeholder",
                   test_host_no_placeholder);
    qtest_add_func("spapr-vfio/host/places-unknown",
                   test_host_places_unknown);
    qtest_add_func("spapr-vfio/host/pins-some", test_host_pins_some);
    qtest_add_func("spapr-vfio/host/no-replay", test_host_no_replay);
    qtest_add_func("spapr-vfio/host/small-window", test_host_small_window);
    qtest_add_func("spapr-vfio/other-machine", test_other_machine);
    return g_test_run();
}
