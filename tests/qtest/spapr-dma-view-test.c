/*
 * sPAPR DMA windows: what there is to see of them
 *
 * What query-spapr-dma, query-spapr-dma-runs, "info spapr-dma" and the
 * properties "dma-info" answer, in full, after each change of the windows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "spapr-dma-common.h"

#define PAGE            4096
#define LIOBN_VIO       0x71000003U
#define RAM             0x4000000       /* guest memory that exists */

#define ALL_SIZES       "[4096, 65536, 2097152, 16777216]"

/* Counters of a window that nothing was done to but these hypercalls */
#define COUNTERS(put, indirect, stuff, get, refused) \
    "{ 'put': " #put ", 'put-indirect': " #indirect ", 'stuff': " #stuff "," \
    "  'get': " #get ", 'maps': 0, 'mapped-pages': 0, 'unmaps': 0," \
    "  'unmapped-pages': 0, 'refused': " #refused " }"

/* A window of a machine that is run by TCG, in which no device of a host is */
#define WINDOW(liobn, kind, first, last, page, entries, populated) \
    "'liobn': " #liobn ", 'kind': '" kind "', 'first': " #first "," \
    "'last': " #last ", 'page-size': " #page ", 'entries': " #entries "," \
    "'populated': " #populated ", 'handler': 'qemu-no-kvm'," \
    "'notifiers': 0, 'containers': []"

#define DEFAULT(populated) \
    WINDOW(2147483648, "default", 0, 1073741823, 4096, 262144, populated)

static void assert_default(SpaprDmaTest *t, const char *rest)
{
    QDict *window = spapr_view_window(t, LIOBN_DEFAULT);

    g_assert_nonnull(window);
    spapr_assert_json(window, "", "{ " DEFAULT(0) ", %s }", rest);
    qobject_unref(window);
}

/* What a hypercall was refused for, and how many have been */
static void assert_refused(SpaprDmaTest *t, uint32_t liobn, unsigned count,
                           const char *reason, uint64_t address,
                           uint64_t entries)
{
    QDict *window = spapr_view_window(t, liobn);

    spapr_assert_json(window, "counters.refused", "%u", count);
    spapr_assert_json(window, "last-refusal", "{ 'reason': '%s',"
                      " 'address': %" PRIu64 ", 'entries': %" PRIu64 " }",
                      reason, address, entries);
    qobject_unref(window);
}

static void assert_owner(SpaprDmaTest *t, const char *path, const char *json)
{
    QDict *owner = spapr_view_owner(t, 0);

    spapr_assert_json(owner, path, "%s", json);
    qobject_unref(owner);
}

#define RUN(index, entries, iova, gpa, size, access) \
    "{ 'index': " #index ", 'entries': " #entries ", 'iova': " #iova "," \
    "  'gpa': " #gpa ", 'size': " #size ", 'access': '" access "' }"

static void assert_runs(SpaprDmaTest *t, uint32_t liobn, uint64_t index,
                        uint32_t max, const char *json)
{
    QDict *runs = spapr_view_runs(t, liobn, index, max);

    spapr_assert_json(runs, "", "{ %s }", json);
    qobject_unref(runs);
}

static void assert_hmp(QTestState *qts, const char *text)
{
    g_autofree char *said = qtest_hmp(qts, "info spapr-dma");
    g_auto(GStrv) lines = g_strsplit(said, "\r\n", -1);
    g_autofree char *all = g_strjoinv("\n", lines);

    g_assert_cmpstr(all, ==, text);
}

/* A machine of another kind has no windows, and nothing fails */
static void test_other_machine(void)
{
    QTestState *qts = qtest_init("-machine none");
    QDict *answer = qtest_qmp_assert_success_ref(qts,
        "{'execute': 'query-spapr-dma'}");

    spapr_assert_json(answer, "", "{ 'owners': [] }");
    qobject_unref(answer);
    answer = qtest_qmp(qts, "{'execute': 'query-spapr-dma-runs',"
                       " 'arguments': { 'liobn': 1 } }");
    spapr_assert_json(answer, "error.desc", "'there is no DMA window 0x1;"
                      " query-spapr-dma lists those that exist'");
    qobject_unref(answer);
    assert_hmp(qts, "This machine has no sPAPR DMA windows.\n");
    qtest_quit(qts);
}

static void test_boot(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    QDict *owner = spapr_view_owner(t, 0);
    QDict *answer = qtest_qmp(t->qts, "{'execute': 'qom-get', 'arguments':"
                              " { 'path': %s, 'property': 'dma-info' } }",
                              qdict_get_str(owner, "qom-path"));

    g_assert_true(qobject_is_equal(qdict_get(answer, "return"),
                                   QOBJECT(owner)));
    qobject_unref(answer);
    qdict_del(owner, "qom-path");
    qdict_del(owner, "windows");
    spapr_assert_json(owner, "", "{ 'name': 'pci@800000020000000',"
        " 'containers': [],"
        " 'phb': { 'buid': %" PRIu64 ", 'dynamic': true, 'mode': 'normal',"
        "   'limited-offered': true,"
        "   'offer': { 'windows': 1, 'windows-limit': { 'reason': 'in-use' },"
        "     'max-tces': 137438953472,"
        "     'max-tces-limit': { 'reason': 'machine' },"
        "     'page-sizes': " ALL_SIZES ", 'missing-page-sizes': [] } } }",
        BUID_PHB0);
    qobject_unref(owner);
    assert_default(t, "'counters': " COUNTERS(0, 0, 0, 0, 0));
    g_assert_null(spapr_view_window(t, LIOBN_64));

    answer = qtest_qmp_assert_success_ref(t->qts,
        "{'execute': 'query-spapr-dma', 'arguments': { 'count-kvm': true }}");
    spapr_assert_json(answer, "owners.0.windows.0.populated", "0");
    spapr_assert_json(answer, "table-bytes", "0");
    spapr_assert_json(answer, "max-table-bytes", "%" PRIu64,
                      64 * MiB + TEST_RAM / 32);
    qobject_unref(answer);
    spapr_dma_quit(t);
}

/* Devices that have no window are left out, and each look costs nothing */
static void test_no_window(void)
{
    g_autoptr(GString) options = g_string_new("");
    SpaprDmaTest *t;
    uint64_t before = 0;
    QDict *answer;

    for (unsigned i = 0; i < 64; i++) {
        g_string_append_printf(options, "-chardev null,id=c%u "
                               "-device spapr-vty,chardev=c%u ", i, i);
    }
    t = spapr_dma_boot("%s", options->str);
    for (unsigned i = 0; i < 1000; i++) {
        if (i == 300) {
            before = spapr_dma_memory(t, "VmRSS:");
        }
        answer = qtest_qmp(t->qts, "{'execute': 'query-spapr-dma'}");
        g_assert_cmpuint(qlist_size(qdict_get_qlist(
            qdict_get_qdict(answer, "return"), "owners")), ==, 1);
        qobject_unref(answer);
    }
    g_assert_cmpuint(spapr_dma_memory(t, "VmRSS:"), <, before + 1 * MiB);
    spapr_dma_quit(t);
}

/* Windows come and go, and with them what is on offer and why not more */
static void test_create_remove(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    QDict *window;

    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    window = spapr_view_window(t, LIOBN_64);
    spapr_assert_json(window, "", "{ " WINDOW(2147483649, "dynamic",
                      576460752303423488, 576460752571858943, 65536, 4096, 0)
                      ", 'counters': " COUNTERS(0, 0, 0, 0, 0) " }");
    qobject_unref(window);
    assert_owner(t, "windows.0.liobn", "2147483648");
    assert_owner(t, "windows.1.liobn", "2147483649");
    assert_owner(t, "phb.offer.windows", "0");
    assert_owner(t, "phb.offer.windows-limit", "{ 'reason': 'in-use' }");

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_null(spapr_view_window(t, LIOBN_DEFAULT));
    assert_owner(t, "phb.offer.windows", "1");
    /* The place of the default window is no limit, it reaches to 2^59 */
    assert_owner(t, "phb.offer.max-tces", "34359738368");
    assert_owner(t, "phb.offer.max-tces-limit", "{ 'reason': 'place' }");

    /* The guest's own window there is no default one, though it has its size */
    g_assert_cmpint(spapr_ddw_create(t, 16, 30).status, ==, RTAS_OK);
    window = spapr_view_window(t, LIOBN_DEFAULT);
    spapr_assert_json(window, "", "{ " WINDOW(2147483648, "dynamic", 0,
                      1073741823, 65536, 16384, 0)
                      ", 'counters': " COUNTERS(0, 0, 0, 0, 0) " }");
    qobject_unref(window);

    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    assert_default(t, "'counters': " COUNTERS(0, 0, 0, 0, 0));
    g_assert_null(spapr_view_window(t, LIOBN_64));
    spapr_dma_quit(t);
}

static void test_limited(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_create(t, 12, 32).status, ==, RTAS_OK);
    assert_owner(t, "phb.mode", "'limited'");
    assert_owner(t, "windows.1.first", "4294967296");
    assert_owner(t, "windows.1.last", "8589934591");
    qtest_system_reset(t->qts);
    assert_owner(t, "phb.mode", "'normal'");
    spapr_dma_quit(t);

    t = spapr_dma_boot("-global spapr-pci-host-bridge.ddw-limited=off");
    assert_owner(t, "phb.limited-offered", "false");
    assert_owner(t, "phb.limited-limit", "{ 'reason': 'property' }");
    spapr_dma_quit(t);
}

/* What properties of the PHB leave */
static void test_properties(void)
{
    SpaprDmaTest *t;

    t = spapr_dma_boot("-global spapr-pci-host-bridge.ddw=off");
    assert_owner(t, "phb.dynamic", "false");
    assert_owner(t, "phb.offer.windows", "0");
    assert_owner(t, "phb.offer.windows-limit", "{ 'reason': 'property' }");
    spapr_dma_quit(t);

    t = spapr_dma_boot("-global spapr-pci-host-bridge.pgsz=0x1000");
    assert_owner(t, "phb.offer.page-sizes", "[ 4096 ]");
    assert_owner(t, "phb.offer.missing-page-sizes", "[]");
    spapr_dma_quit(t);

    /* D19: no query can name pages of 8 KiB, so none is missing */
    t = spapr_dma_boot("-global spapr-pci-host-bridge.pgsz=0x3000");
    assert_owner(t, "phb.offer.page-sizes", "[ 4096 ]");
    assert_owner(t, "phb.offer.missing-page-sizes", "[]");
    spapr_dma_quit(t);

    /* A place that is aligned to 64 KiB only */
    t = spapr_dma_boot("-global spapr-pci-host-bridge.dma64_win_addr="
                       "0x800000000010000");
    assert_owner(t, "phb.offer.page-sizes", "[ 4096, 65536 ]");
    assert_owner(t, "phb.offer.missing-page-sizes",
                 "[ { 'page-size': 2097152, 'reason': 'place' },"
                 "  { 'page-size': 16777216, 'reason': 'place' } ]");
    spapr_dma_quit(t);

    /* A place right behind the default window */
    t = spapr_dma_boot("-global spapr-pci-host-bridge.dma64_win_addr="
                       "0x40000000");
    assert_owner(t, "phb.offer.windows", "1");
    g_assert_cmphex(spapr_ddw_create(t, 16, 28).addr, ==, 0x40000000);
    spapr_dma_quit(t);

    /* A place that the default window covers */
    t = spapr_dma_boot("-global spapr-pci-host-bridge.dma64_win_addr="
                       "0x20000000");
    assert_owner(t, "phb.offer.windows", "0");
    assert_owner(t, "phb.offer.windows-limit", "{ 'reason': 'place' }");
    spapr_dma_quit(t);
}

static void test_vio(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-device spapr-vscsi,reg=0x71000003");
    QDict *window = spapr_view_window(t, LIOBN_VIO), *owner;
    g_autofree char *said = NULL;

    spapr_assert_json(window, "", "{ " WINDOW(1895825411, "vio", 0, 268435455,
                      4096, 65536, 0) ", 'counters': "
                      COUNTERS(0, 0, 0, 0, 0) " }");
    qobject_unref(window);
    owner = spapr_view_owner(t, 0);
    spapr_assert_json(owner, "name", "'v-scsi@71000003'");
    g_assert_false(qdict_haskey(owner, "phb"));
    qobject_unref(owner);
    owner = spapr_view_owner(t, 1);
    spapr_assert_json(owner, "name", "'pci@800000020000000'");
    qobject_unref(owner);

    /* Both are printed, and runs of either are found */
    said = qtest_hmp(t->qts, "info spapr-dma");
    g_assert_nonnull(strstr(said, "\r\nv-scsi@71000003\r\n  window 0x71000003"
                            ", vio: 0x0 to 0xfffffff\r\n"));
    g_assert_nonnull(strstr(said, "\r\npci@800000020000000\r\n"));
    spapr_put_tce(t, LIOBN_VIO, 0, RAM | TCE_RO);
    spapr_put_tce(t, LIOBN_DEFAULT, 0, RAM | TCE_WO);
    assert_runs(t, LIOBN_VIO, 0, 2, "'runs': ["
                RUN(0, 1, 0, 67108864, 4096, "read") "]");
    assert_runs(t, LIOBN_DEFAULT, 0, 2, "'runs': ["
                RUN(0, 1, 0, 67108864, 4096, "write") "]");
    spapr_dma_quit(t);
}

/* Each hypercall counts, and why one was refused can be seen */
static void test_hypercalls(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    const uint64_t words[] = { RAM | TCE_RW, 0x1000000000 | TCE_RW };
    QDict *window;
    uint64_t tce;

    spapr_put_tce(t, LIOBN_DEFAULT, 0, RAM | TCE_RW);
    spapr_put_tce(t, LIOBN_DEFAULT, PAGE, RAM | TCE_RO);
    spapr_put_tce(t, LIOBN_DEFAULT, PAGE, RAM | TCE_WO);
    spapr_get_tce(t, LIOBN_DEFAULT, 0, &tce);
    spapr_put_tce_indirect(t, LIOBN_DEFAULT, 0x10000, words, 1);
    window = spapr_view_window(t, LIOBN_DEFAULT);
    spapr_assert_json(window, "", "{ " DEFAULT(3) ", 'counters': "
                      COUNTERS(3, 1, 0, 1, 0) " }");
    qobject_unref(window);
    spapr_stuff_tce(t, LIOBN_DEFAULT, 0, 0, 4096);
    assert_default(t, "'counters': " COUNTERS(3, 1, 1, 1, 0));

    spapr_put_tce(t, LIOBN_DEFAULT, 1 * GiB, RAM | TCE_RW);
    assert_refused(t, LIOBN_DEFAULT, 1, "range", 1 * GiB, 1);
    spapr_put_tce(t, LIOBN_DEFAULT, 0x1001, RAM | TCE_RW);
    assert_refused(t, LIOBN_DEFAULT, 2, "range", 0x1001, 1);
    spapr_get_tce(t, LIOBN_DEFAULT, 2 * GiB, &tce);
    assert_refused(t, LIOBN_DEFAULT, 3, "range", 2 * GiB, 1);
    spapr_stuff_tce(t, LIOBN_DEFAULT, 0, 0, 300000);
    assert_refused(t, LIOBN_DEFAULT, 4, "range", 0, 300000);
    spapr_put_tce_indirect(t, LIOBN_DEFAULT, 1 * GiB - PAGE, words, 2);
    assert_refused(t, LIOBN_DEFAULT, 5, "range", 1 * GiB - PAGE, 2);
    spapr_put_tce(t, LIOBN_DEFAULT, PAGE, 0x1000000000 | TCE_RO);
    assert_refused(t, LIOBN_DEFAULT, 6, "target", PAGE, 1);
    spapr_put_tce_indirect(t, LIOBN_DEFAULT, 2 * PAGE, words, 2);
    assert_refused(t, LIOBN_DEFAULT, 7, "target", 2 * PAGE, 2);
    spapr_put_tce_indirect(t, LIOBN_DEFAULT, 3 * PAGE, words, 513);
    assert_refused(t, LIOBN_DEFAULT, 8, "list", 3 * PAGE, 513);
    spapr_stuff_tce(t, LIOBN_DEFAULT, 4 * PAGE, TCE_RO, 513);
    assert_refused(t, LIOBN_DEFAULT, 9, "permission", 4 * PAGE, 513);
    assert_default(t, "'counters': " COUNTERS(6, 4, 3, 2, 9) ","
                   " 'last-refusal': { 'reason': 'permission',"
                   " 'address': 16384, 'entries': 513 }");

    /* A window that does not exist has no counters, then it has new ones */
    spapr_put_tce(t, LIOBN_64, WINDOW_64, 0);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    window = spapr_view_window(t, LIOBN_64);
    spapr_assert_json(window, "counters", COUNTERS(0, 0, 0, 0, 0));
    qobject_unref(window);
    spapr_dma_quit(t);
}

static void assert_max_table(SpaprDmaTest *t, uint64_t bytes)
{
    QDict *all = qtest_qmp_assert_success_ref(t->qts,
                                              "{'execute': 'query-spapr-dma'}");

    spapr_assert_json(all, "max-table-bytes", "%" PRIu64, bytes);
    qobject_unref(all);
}

/* The memory that TCEs may take has an end, which a guest is told of */
static void test_table_memory(void)
{
    const uint64_t stretch = 512 * PAGE;
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    const uint64_t words[] = { 0, TCE_RW };
    QDict *window;
    uint64_t n = 0, at;

    g_assert_cmpint(spapr_ddw_create(t, 12, 45).status, ==, RTAS_OK);
    while (!spapr_put_tce(t, LIOBN_64, WINDOW_64 + n * stretch, TCE_RW)) {
        n++;
    }
    at = WINDOW_64 + n * stretch;
    assert_refused(t, LIOBN_64, 1, "table-memory", at, 1);
    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, at, words, 2), ==,
                    H_NOT_ENOUGH_RESOURCES);
    assert_refused(t, LIOBN_64, 2, "table-memory", at, 2);
    /* Nothing is refused here: zeroes are as good as bits without permission */
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, at, 0x5000, 512), ==,
                    H_SUCCESS);
    assert_refused(t, LIOBN_64, 2, "table-memory", at, 2);
    window = spapr_view_window(t, LIOBN_64);
    spapr_assert_json(window, "populated", "%" PRIu64, n);
    spapr_assert_json(window, "counters.put", "%" PRIu64, n + 1);
    qobject_unref(window);
    spapr_dma_quit(t);

    /* Room for DIMMs is no RAM yet, which has a part of its size for TCEs */
    t = spapr_dma_boot("-m 256M,slots=1,maxmem=4G");
    assert_max_table(t, 64 * MiB + 8 * MiB);
    qtest_qmp_assert_success(t->qts, "{'execute': 'object-add',"
                             " 'arguments': { 'qom-type': 'memory-backend-ram',"
                             " 'id': 'm', 'size': 268435456 } }");
    qtest_qmp_assert_success(t->qts, "{'execute': 'device_add', 'arguments':"
                             " { 'driver': 'pc-dimm', 'memdev': 'm' } }");
    assert_max_table(t, 64 * MiB + 16 * MiB);
    spapr_dma_quit(t);
}

/* A machine reset clears the default window, which stays the same window */
static void test_reset(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    spapr_put_tce(t, LIOBN_DEFAULT, 0, RAM | TCE_RW);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    qtest_system_reset(t->qts);
    assert_default(t, "'counters': " COUNTERS(1, 0, 0, 0, 0));
    g_assert_null(spapr_view_window(t, LIOBN_64));
    spapr_dma_quit(t);
}

/* ---- runs ---- */

static void test_runs(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    const uint64_t words[] = {
        0x4000000 | TCE_RW, 0x4001000 | TCE_RW, 0x4002000 | TCE_RO,
        0x4003000, 0x4010000 | TCE_WO,
    };

    assert_runs(t, LIOBN_DEFAULT, 0, 1, "'runs': []");
    spapr_put_tce_indirect(t, LIOBN_DEFAULT, 0x10000, words, 5);
    assert_runs(t, LIOBN_DEFAULT, 0, 4096, "'runs': ["
                RUN(16, 2, 65536, 67108864, 8192, "read-write") ","
                RUN(18, 1, 73728, 67117056, 4096, "read") ","
                RUN(20, 1, 81920, 67174400, 4096, "write") "]");
    /* In pieces, any number of times */
    for (unsigned i = 0; i < 2; i++) {
        assert_runs(t, LIOBN_DEFAULT, 0, 1, "'runs': ["
                    RUN(16, 2, 65536, 67108864, 8192, "read-write") "],"
                    " 'next': 18");
        assert_runs(t, LIOBN_DEFAULT, 18, 2, "'runs': ["
                    RUN(18, 1, 73728, 67117056, 4096, "read") ","
                    RUN(20, 1, 81920, 67174400, 4096, "write") "],"
                    " 'next': 21");
        assert_runs(t, LIOBN_DEFAULT, 21, 2, "'runs': []");
    }
    /* From the middle of a run */
    assert_runs(t, LIOBN_DEFAULT, 17, 1, "'runs': ["
                RUN(17, 1, 69632, 67112960, 4096, "read-write") "],"
                " 'next': 18");
    /* The last page of the window, and beyond it */
    spapr_put_tce(t, LIOBN_DEFAULT, 1 * GiB - PAGE, RAM | TCE_RO);
    assert_runs(t, LIOBN_DEFAULT, 21, 1, "'runs': ["
                RUN(262143, 1, 1073737728, 67108864, 4096, "read") "]");
    assert_runs(t, LIOBN_DEFAULT, 262144, 1, "'runs': []");
    assert_runs(t, LIOBN_DEFAULT, UINT64_MAX, 1, "'runs': []");

    spapr_stuff_tce(t, LIOBN_DEFAULT, 0, 0, 262144);
    assert_runs(t, LIOBN_DEFAULT, 0, 1, "'runs': []");
    spapr_dma_quit(t);
}

/* What can be looked at in a moment is 2^15 words; holes are for free */
static void test_runs_bounded(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    uint64_t words[512];

    g_assert_cmpint(spapr_ddw_create(t, 12, 43).status, ==, RTAS_OK);
    spapr_put_tce(t, LIOBN_64, WINDOW_64 + (1ULL << 43) - PAGE, TCE_RO);
    assert_runs(t, LIOBN_64, 0, 2, "'runs': ["
                RUN(2147483647, 1, 576469548396441600, 0, 4096, "read") "]");

    for (unsigned n = 0; n < 40000 / 512 + 1; n++) {
        for (unsigned i = 0; i < 512; i++) {
            words[i] = (n * 512 + i) * PAGE | TCE_RW;
        }
        g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, WINDOW_64 +
                                               n * 512 * PAGE, words, 512), ==,
                        H_SUCCESS);
    }
    /* A long run is told in pieces */
    for (unsigned i = 0; i < 2; i++) {
        assert_runs(t, LIOBN_64, 0, 2, "'runs': ["
                    RUN(0, 32768, 576460752303423488, 0, 134217728,
                        "read-write") "], 'next': 32768");
        assert_runs(t, LIOBN_64, 32768, 2, "'runs': ["
                    RUN(32768, 7680, 576460752437641216, 134217728, 31457280,
                        "read-write") ","
                    RUN(2147483647, 1, 576469548396441600, 0, 4096, "read")
                    "]");
    }
    /* Words without permission are looked at, too, and then there is no run */
    memset(words, 0, sizeof(words));
    for (unsigned i = 0; i < 512; i++) {
        words[i] = 0x4000000;
    }
    for (unsigned n = 0; n < 64; n++) {
        spapr_put_tce_indirect(t, LIOBN_64, WINDOW_64 + n * 512 * PAGE, words,
                               512);
    }
    assert_runs(t, LIOBN_64, 0, 1, "'runs': [], 'next': 32768");
    /* One in 512 costs as much as 512 */
    for (unsigned n = 100; n < 200; n++) {
        spapr_put_tce(t, LIOBN_64, WINDOW_64 + n * 512 * PAGE, 0x4000000);
    }
    assert_runs(t, LIOBN_64, 51200, 1, "'runs': [], 'next': 83968");
    spapr_dma_quit(t);
}

static void test_runs_refused(void)
{
    static const struct {
        uint32_t liobn, max;
        const char *text;
    } bad[] = {
        { LIOBN_64, 1, "there is no DMA window 0x80000001;"
                       " query-spapr-dma lists those that exist" },
        { 0x12345678, 1, "there is no DMA window 0x12345678;"
                         " query-spapr-dma lists those that exist" },
        { LIOBN_DEFAULT, 0, "'max' is 0 but must be 1 to 4096" },
        { LIOBN_DEFAULT, 4097, "'max' is 4097 but must be 1 to 4096" },
    };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        QDict *answer = qtest_qmp(t->qts, "{'execute': 'query-spapr-dma-runs',"
                                  " 'arguments': { 'liobn': %u, 'max': %u } }",
                                  bad[i].liobn, bad[i].max);

        g_assert_cmpstr(qdict_get_str(qdict_get_qdict(answer, "error"),
                                      "desc"), ==, bad[i].text);
        qobject_unref(answer);
    }
    spapr_dma_quit(t);
}

/* ---- text ---- */

static void test_hmp(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-global spapr-pci-host-bridge."
                                     "dma64_win_addr=0x800000000010000");

    assert_hmp(t->qts,
        "memory of TCEs: 0 B of 72 MiB\n"
        "pci@800000020000000\n"
        "  mode: normal\n"
        "  limited mode: offered\n"
        "  windows on offer:\n"
        "    1 more, limit: in-use\n"
        "    137438953472 TCEs, limit: machine\n"
        "    pages of 4 KiB, 64 KiB\n"
        "    not of 2 MiB: place\n"
        "    not of 16 MiB: place\n"
        "  window 0x80000000, default: 0x0 to 0x3fffffff\n"
        "    262144 pages of 4 KiB, 0 populated, table of 0 B\n"
        "    handler: qemu-no-kvm, 0 notifiers\n"
        "    hypercalls: put 0, put-indirect 0, stuff 0, get 0\n"
        "    containers: 0 maps of 0 pages, 0 unmaps of 0 pages\n"
        "    refused: 0\n");
    spapr_put_tce(t, LIOBN_DEFAULT, 1 * GiB, 0);
    {
        g_autofree char *said = qtest_hmp(t->qts, "info spapr-dma");

        g_assert_nonnull(strstr(said,
            "    hypercalls: put 1, put-indirect 0, stuff 0, get 0\r\n"
            "    containers: 0 maps of 0 pages, 0 unmaps of 0 pages\r\n"
            "    refused: 1, the last at 0x40000000 of 1 entries\r\n"
            "      reason: range\r\n"));
    }
    spapr_dma_quit(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("spapr-dma-view/other-machine", test_other_machine);
    qtest_add_func("spapr-dma-view/boot", test_boot);
    qtest_add_func("spapr-dma-view/no-window", test_no_window);
    qtest_add_func("spapr-dma-view/create-remove", test_create_remove);
    qtest_add_func("spapr-dma-view/limited", test_limited);
    qtest_add_func("spapr-dma-view/properties", test_properties);
    qtest_add_func("spapr-dma-view/vio", test_vio);
    qtest_add_func("spapr-dma-view/hypercalls", test_hypercalls);
    qtest_add_func("spapr-dma-view/table-memory", test_table_memory);
    qtest_add_func("spapr-dma-view/reset", test_reset);
    qtest_add_func("spapr-dma-view/runs", test_runs);
    qtest_add_func("spapr-dma-view/runs-bounded", test_runs_bounded);
    qtest_add_func("spapr-dma-view/runs-refused", test_runs_refused);
    qtest_add_func("spapr-dma-view/hmp", test_hmp);
    return g_test_run();
}
