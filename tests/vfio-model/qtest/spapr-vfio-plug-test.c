/*
 * Devices of the host come and go
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr-vfio-common.h"

/* Mappings that were made before the device came are there for it */
static void test_plug_replays(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:2]");
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* A9: plugging costs what is mapped, not what could be: here 2^31 pages */
static void test_plug_replays_huge(void)
{
    const uint64_t last = WINDOW_64 + (1ULL << 43) - PAGE;
    VfioTest *v = vfio_boot_under(vfio_unprivileged(), LIMITED ONE, NULL, "");
    SpaprDdwWindow w = vfio_create(v, 12, 43, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, last - PAGE, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, last, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+80000000000/12:3]");
    vfio_assert_dma(v, 1, last - PAGE, 0x4000000);
    vfio_quit(v);
}

/* The same without a default window, whose place the host would give away */
static void test_plug_upper_place(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = vfio_create(v, 16, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    g_assert_cmpint(spapr_ddw_remove(v->t, LIOBN_DEFAULT), ==, RTAS_OK);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[800000000000000+10000000/12:10]");
    vfio_assert_dma(v, 1, w.addr, 0x4000000);

    g_assert_cmpint(spapr_ddw_reset(v->t), ==, RTAS_OK);
    vfio_assert_host(v, JUST_DEFAULT);
    vfio_quit(v);
}

/* A2: a device that cannot be plugged leaves nothing behind */
static void test_plug_refused(void)
{
    static const char *const rules[] = {
        "ioctl=set_iommu,errno=ENOMEM", "ioctl=get_info,errno=EINVAL",
        "ioctl=register,errno=ENOMEM", "ioctl=register,return=3",
        "ioctl=tce_create,errno=ENOMEM", "ioctl=tce_create,errno=EPERM",
        "ioctl=map,errno=ENOMEM", "ioctl=map,return=1",
        "ioctl=tce_remove,errno=EINVAL",
    };
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        vfio_fault(v, rules[i]);
        vfio_assert_not_plugged(v, PLUG(1), "");
        vfio_no_fault(v);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
    }
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:1]");
    vfio_quit(v);
}

/* C19: what fails last, once the host has its windows, leaves none */
static void test_plug_replay_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, "");
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4008000 | TCE_RW, H_SUCCESS);
    for (unsigned i = 0; i < 6; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=map,nth=%u,"
                                                "errno=ENOMEM%s", i / 2 + 1,
                                                i % 2 ? ",once" : "");

        vfio_fault(v, rule);
        vfio_assert_not_plugged(v, PLUG(1), "Cannot allocate memory");
        vfio_no_fault(v);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
    }
    spapr_assert_tce(v->t, w.liobn, w.addr, 0x4000000 | TCE_RW);
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_host(v, "[0+40000000/12:1 800000000000000+10000000/12:2]");
    vfio_quit(v);
}

/* C2: the reason is the host's */
static void test_plug_reason(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv memlock=200M\n" ONE, NULL,
                            "");

    vfio_assert_not_plugged(v, PLUG(1), "Cannot allocate memory");
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C14: the same when nothing can be written to the log in between */
static void test_plug_reason_no_log(void)
{
    VfioTest *v = vfio_boot_under("sh -c 'exec \"$@\" 2>/dev/full' sh ",
                                  POWERNV ONE, NULL, "");

    vfio_fault(v, "ioctl=tce_create,errno=ENOMEM");
    vfio_assert_not_plugged(v, PLUG(1), "Cannot allocate memory");
    vfio_no_fault(v);
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C13: the host says nothing of windows, so version 2 is no use */
static void test_short_info(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, "short-info", "");

    vfio_assert_not_plugged(v, PLUG(1), "dynamic DMA windows");
    vfio_assert_host(v, "");
    vfio_quit(v);
}

/* C18: version 1 fails, too, and says what it was */
static void test_plug_refused_v1(void)
{
    VfioTest *v = vfio_boot("host flavour=p7\n" ONE, NULL, "");

    vfio_fault(v, "ioctl=enable,errno=ENOMEM");
    vfio_assert_not_plugged(v, PLUG(1), "does not enable");
    vfio_no_fault(v);
    vfio_assert_host(v, "");
    vfio_assert_plugged(v, PLUG(1));
    vfio_quit(v);
}

/* Default windows that no host can have: the device is refused */
static void test_plug_odd_default(void)
{
    static const struct {
        const char *host, *options, *reason;
    } odd[] = {
        { POWERNV, "dma_win_size=0x30000000", "power of two" },
        { "host flavour=p7\n", "dma_win_size=0x100000000",
          "does not lie in the only one" },
        { "host flavour=powernv pagesizes=64K\n", "pgsz=0x11000",
          "no DMA page size" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
        g_autofree char *topology = g_strdup_printf("%s" ONE, odd[i].host);
        g_autofree char *options = g_strdup_printf(
            "-global spapr-pci-host-bridge.%s ", odd[i].options);
        VfioTest *v = vfio_boot(topology, NULL, options);

        vfio_assert_not_plugged(v, PLUG(1), odd[i].reason);
        vfio_assert_host(v, "");
        g_assert_cmpuint(vfio_regions(v), ==, 0);
        vfio_quit(v);
    }
}

/* The only window of version 1 is not where the guest has one */
static void test_plug_v1_too_late(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_assert_not_plugged(v, "{'driver': 'vfio-pci', 'id': 'vf2',"
                            " 'host': '0001:02:00.0', 'x-spapr-v1': true}",
                            "does not lie in the only one");
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:1]");
    vfio_put(v, w.liobn, w.addr + PAGE, 0x4001000 | TCE_RW, H_SUCCESS);
    vfio_assert_dma(v, 1, w.addr, 0x4000000);
    vfio_quit(v);
}

/* What the host refuses while things are torn down is told once, and over */
static void test_teardown_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2_V1);

    vfio_put(v, LIOBN_DEFAULT, 0, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=unmap,errno=EINVAL");
    vfio_fault(v, "ioctl=tce_remove,errno=EINVAL");
    vfio_fault(v, "ioctl=unregister,errno=ENOENT");
    vfio_fault(v, "ioctl=disable,errno=EINVAL");
    vfio_put(v, LIOBN_DEFAULT, 0, 0, H_SUCCESS);
    spapr_assert_tce(v->t, LIOBN_DEFAULT, 0, 0);
    vfio_unplug(v, "vf2", 2);
    vfio_unplug(v, "vf1", 1);
    vfio_assert_host(v, "");
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not unmap"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "did not remove"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "could not be unregistered"), ==, 1);
    g_assert_cmpuint(vfio_log_count(v, "did not disable"), ==, 1);
    vfio_create(v, 16, 28, WINDOW_64);
    vfio_quit(v);
}

/* The host keeps a window that the guest removes: devices find it empty */
static void test_remove_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV ONE, NULL, VFIO1);
    SpaprDdwWindow w = vfio_create(v, 12, 28, WINDOW_64);

    vfio_put(v, w.liobn, w.addr, 0x4000000 | TCE_RW, H_SUCCESS);
    vfio_fault(v, "ioctl=tce_remove,errno=EINVAL");
    g_assert_cmpint(spapr_ddw_remove(v->t, w.liobn), ==, RTAS_OK);
    vfio_no_fault(v);
    g_assert_cmpuint(vfio_log_count(v, "did not remove"), ==, 1);
    vfio_assert_host(v, "[0+40000000/12:0 800000000000000+10000000/12:0]");
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/plug/replay", test_plug_replays);
    qtest_add_func("spapr-vfio/plug/A9-huge", test_plug_replays_huge);
    qtest_add_func("spapr-vfio/plug/upper-place", test_plug_upper_place);
    qtest_add_func("spapr-vfio/plug/A2-refused", test_plug_refused);
    qtest_add_func("spapr-vfio/plug/C19-replay-refused",
                   test_plug_replay_refused);
    qtest_add_func("spapr-vfio/plug/C2-reason", test_plug_reason);
    qtest_add_func("spapr-vfio/plug/C14-reason-no-log",
                   test_plug_reason_no_log);
    qtest_add_func("spapr-vfio/plug/C13-short-info", test_short_info);
    qtest_add_func("spapr-vfio/plug/C18-refused-v1", test_plug_refused_v1);
    qtest_add_func("spapr-vfio/plug/odd-default", test_plug_odd_default);
    qtest_add_func("spapr-vfio/plug/v1-too-late", test_plug_v1_too_late);
    qtest_add_func("spapr-vfio/unplug/C4-refused", test_teardown_refused);
    qtest_add_func("spapr-vfio/remove/refused", test_remove_refused);
    return g_test_run();
}
