/*
 * Two containers of a host on one bus
 *
 * The host has a table for each group, so each device has a container of its
 * own; or the older device keeps to a container with one window.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "spapr-vfio-common.h"

#define RAM     0x4000000
#define OTHER   0x5000000

static void assert_owner(VfioTest *v, const char *path, const char *json)
{
    QDict *owner = spapr_view_owner(v->t, 0);

    spapr_assert_json(owner, path, "%s", json);
    qobject_unref(owner);
}

/* The containers of a window come in the order of their age */
static VfioTest *boot_two(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1);

    vfio_assert_plugged(v, PLUG(2));
    vfio_put(v, LIOBN_DEFAULT, 0, RAM | TCE_RW, H_SUCCESS);
    vfio_put(v, LIOBN_DEFAULT, PAGE, (RAM + PAGE) | TCE_RW, H_SUCCESS);
    return v;
}

/*
 * Two runs of one request are to replace what is mapped, and one container
 * refuses one of them: everybody gets back what there was.
 */
static void refuse_run(unsigned container, unsigned run)
{
    const uint64_t words[] = { OTHER | TCE_RW, (OTHER + 2 * PAGE) | TCE_RW };
    g_autofree char *rule = g_strdup_printf("ioctl=map,container=%u,nth=%u,"
                                            "errno=ENOMEM,once", container,
                                            run);
    VfioTest *v = boot_two();
    QDict *window;

    vfio_fault(v, rule);
    g_assert_cmpint(spapr_put_tce_indirect(v->t, LIOBN_DEFAULT, 0, words, 2),
                    ==, H_NOT_ENOUGH_RESOURCES);
    vfio_no_fault(v);
    vfio_assert_host(v, "[0+40000000/12:2][0+40000000/12:2]");
    vfio_assert_dma(v, 1, 0, RAM);
    vfio_assert_dma(v, 2, 0, RAM);

    window = spapr_view_window(v->t, LIOBN_DEFAULT);
    spapr_assert_json(window, "last-refusal", "{ 'reason': 'host',"
                      " 'address': 0, 'entries': 2, 'container': %u,"
                      " 'error': 'Cannot allocate memory' }", container - 1);
    qobject_unref(window);
    vfio_quit(v);
}

static void test_refused(void)
{
    for (unsigned container = 1; container <= 2; container++) {
        for (unsigned run = 1; run <= 2; run++) {
            refuse_run(container, run);
        }
    }
}

/* What is on offer is what both have, whoever came first */
static void test_limits(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL,
                            VFIO(1) ",x-spapr-v1=on " VFIO2);

    spapr_assert_available(v->t, 0);
    assert_owner(v, "containers.0.kind", "'vfio-v1'");
    assert_owner(v, "containers.1.kind", "'vfio-v2'");
    assert_owner(v, "phb.offer.windows-limit",
                 "{ 'reason': 'one-window', 'container': 0 }");
    vfio_quit(v);
}

/* RAM is plugged in if both can have it; that with one window always can */
static void test_dimm(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, NULL, VFIO1 VFIO2_V1
                            "-m 256M,slots=1,maxmem=1G "
                            "-object memory-backend-ram,id=m,size=256M ");

    vfio_fault(v, "ioctl=register,errno=ENOMEM");
    vfio_assert_not_plugged(v, "{'driver': 'pc-dimm', 'id': 'd',"
                            " 'memdev': 'm'}", "Cannot allocate memory");
    vfio_no_fault(v);
    vfio_assert_plugged(v, "{'driver': 'pc-dimm', 'id': 'd', 'memdev': 'm'}");
    vfio_quit(v);
}

/* Numbers go on when no container is left; a window shows them in order */
static void test_numbers(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "own-table", VFIO1);

    assert_owner(v, "containers.0.id", "0");
    vfio_unplug(v, "vf1", 1);
    assert_owner(v, "containers", "[]");
    vfio_assert_plugged(v, PLUG(1));
    vfio_assert_plugged(v, PLUG(2));
    vfio_create(v, 12, 28, WINDOW_64);
    for (unsigned n = 0; n < 2; n++) {
        static const char *const ids[] = { "1", "2" };
        g_autofree char *id = g_strdup_printf("containers.%u.id", n);
        /* One met both as they came, the other when both were there */
        g_autofree char *older = g_strdup_printf("windows.0.containers.%u."
                                                 "container", n);
        g_autofree char *newer = g_strdup_printf("windows.1.containers.%u."
                                                 "container", n);

        assert_owner(v, id, ids[n]);
        assert_owner(v, older, ids[n]);
        assert_owner(v, newer, ids[n]);
    }
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_func("spapr-vfio/containers/refused", test_refused);
    qtest_add_func("spapr-vfio/containers/limits", test_limits);
    qtest_add_func("spapr-vfio/containers/dimm", test_dimm);
    qtest_add_func("spapr-vfio/containers/numbers", test_numbers);
    return g_test_run();
}
