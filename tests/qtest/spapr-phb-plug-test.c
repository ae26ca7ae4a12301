/*
 * sPAPR DMA windows of PHBs that come and go
 *
 * What has gone must be neither used nor kept.  So that use is seen, QEMU fills
 * memory that it frees with FREED, as long as the C library is glibc.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "spapr-dma-common.h"

#define FREED           0x80
#define FREED_32        0x80808080U
#define FREED_64        0x8080808080808080ULL

#define PHB1            0x100U
#define PHB2            0x200U
#define ROUNDS          100

static QDict *plug(SpaprDmaTest *t, unsigned index)
{
    g_autofree char *id = g_strdup_printf("phb%u", index);

    return qtest_qmp(t->qts, "{ 'execute': 'device_add', 'arguments': {"
                     " 'driver': 'spapr-pci-host-bridge', 'id': %s,"
                     " 'index': %u } }", id, index);
}

static void assert_plugged(SpaprDmaTest *t, unsigned index)
{
    QDict *answer = plug(t, index);

    g_assert_true(qdict_haskey(answer, "return"));
    qobject_unref(answer);
}

static void assert_not_plugged(SpaprDmaTest *t, unsigned index,
                               const char *why)
{
    QDict *answer = plug(t, index);

    g_assert_cmpstr(qdict_get_str(qdict_get_qdict(answer, "error"), "desc"),
                    ==, why);
    qobject_unref(answer);
}

/* A guest that has not begun to use a PHB is not asked */
static void unplug(SpaprDmaTest *t, unsigned index)
{
    g_autofree char *id = g_strdup_printf("phb%u", index);

    qtest_qmp_assert_success(t->qts, "{ 'execute': 'device_del',"
                             " 'arguments': { 'id': %s } }", id);
    qtest_qmp_eventwait(t->qts, "DEVICE_DELETED");
}

/* A refused device_add waits for what RCU has put off */
static void wait_freed(SpaprDmaTest *t)
{
    QDict *answer = qtest_qmp(t->qts, "{ 'execute': 'device_add',"
                              " 'arguments': { 'driver': 'none' } }");

    g_assert_true(qdict_haskey(answer, "error"));
    qobject_unref(answer);
}

static void assert_migrates(SpaprDmaTest *t)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "stream", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);

    qtest_qmp_assert_success(t->qts, "{ 'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    g_assert_true(spapr_migrated(t->qts, "completed"));
    unlink(path);
    rmdir(dir);
}

static void assert_phb_works(SpaprDmaTest *t, unsigned index)
{
    t->buid = BUID_PHB0 + index;
    spapr_assert_default(t);
    t->buid = BUID_PHB0;
}

static void test_come_and_go(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    for (unsigned i = 0; i < 3; i++) {
        assert_plugged(t, 1);
        assert_phb_works(t, 1);
        unplug(t, 1);
        spapr_assert_no_window(t, LIOBN_DEFAULT + PHB1);
        assert_phb_works(t, 0);
    }
    wait_freed(t);
    assert_migrates(t);
    spapr_dma_quit(t);
}

/* A window is remembered from one hypercall to the next, but no longer */
static void test_hypercall_after(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_plugged(t, 1);
    unplug(t, 1);
    for (unsigned i = 0; i < 3; i++) {
        wait_freed(t);
    }
    /* The number and the place that a window would have now */
    g_assert_cmpint(spapr_put_tce(t, FREED_32, FREED_64, TCE_RW), ==,
                    H_PARAMETER);
    assert_phb_works(t, 0);
    spapr_dma_quit(t);
}

/* The second window cannot be had, so the first goes again */
static void test_refused(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-device spapr-vscsi,reg=0x80000101");

    assert_not_plugged(t, 1, "LIOBN 0x80000101 is in use already: give the"
                       " device another index or address");
    spapr_assert_no_window(t, LIOBN_DEFAULT + PHB1);
    spapr_assert_window(t, LIOBN_64 + PHB1, 0, 12, 28);
    assert_plugged(t, 2);
    assert_phb_works(t, 2);
    spapr_assert_no_window(t, LIOBN_64 + PHB2);
    assert_migrates(t);
    spapr_dma_quit(t);
}

/* Is the object that was given to the test aid still there? */
static bool alive(SpaprDmaTest *t)
{
    QDict *answer = qtest_qmp(t->qts, "{ 'execute': 'qom-get', 'arguments': {"
                              " 'path': '/machine/peripheral/watch',"
                              " 'property': 'alive' } }");
    bool yes = qdict_get_bool(answer, "return");

    qobject_unref(answer);
    return yes;
}

/* No hypercall keeps a window for longer than it takes */
static void test_freed(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-device spapr-dma-test-watch,id=watch");
    const uint32_t liobn = LIOBN_DEFAULT + PHB1;
    uint64_t tces[] = { TCE_RW, 0x1000 | TCE_RW };

    assert_plugged(t, 1);
    qtest_qmp_assert_success(t->qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine/peripheral/watch',"
                             " 'property': 'object', 'value':"
                             " '/machine/peripheral/phb1/tce-table-80000100'"
                             " } }");
    g_assert_cmpint(spapr_put_tce(t, liobn, 0, TCE_RW), ==, H_SUCCESS);
    g_assert_cmpint(spapr_put_tce_indirect(t, liobn, 0, tces, 2), ==,
                    H_SUCCESS);
    spapr_assert_tce(t, liobn, 0x1000, tces[1]);
    g_assert_cmpint(spapr_stuff_tce(t, liobn, 0, TCE_RW, 2), ==, H_SUCCESS);
    g_assert_cmpint(spapr_stuff_tce(t, liobn, 0, 0, 2), ==, H_SUCCESS);
    g_assert_true(alive(t));

    unplug(t, 1);
    for (unsigned i = 0; i < ROUNDS && alive(t); i++) {
        wait_freed(t);
    }
    g_assert_false(alive(t));
    spapr_dma_quit(t);
}

int main(int argc, char **argv)
{
    g_autofree char *fill = g_strdup_printf(
        "glibc.malloc.perturb=%u:glibc.malloc.tcache_count=0", FREED);

    g_test_init(&argc, &argv, NULL);
    g_setenv("GLIBC_TUNABLES", fill, true);

    qtest_add_func("spapr-phb-plug/come-and-go", test_come_and_go);
    qtest_add_func("spapr-phb-plug/hypercall-after", test_hypercall_after);
    qtest_add_func("spapr-phb-plug/refused", test_refused);
    qtest_add_func("spapr-phb-plug/freed", test_freed);
    return g_test_run();
}
