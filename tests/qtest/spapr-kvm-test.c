/*
 * sPAPR DMA windows whose hypercalls KVM handles
 *
 * There is no KVM here: tests/aids/spapr-dma-test-kvm.c takes its place, and
 * that of a container that KVM updates.  Hypercalls still come to QEMU, as
 * those do that KVM passes on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "spapr-dma-common.h"

#define PAGE        4096
#define RAM         0x4000000       /* guest memory that exists */

#define WITH_KVM    "-device spapr-dma-test-kvm,id=kvm "
#define CONTAINER   "-device spapr-dma-test-mapper,id=c "
#define READER      "-device spapr-dma-test-reader,id=r," \
                    "liobn=0x80000000,index=1000 "

/* KVM counts a table's words and another page or two for what they are in */
#define OF_DEFAULT  (2 * MiB + 2 * PAGE)
#define OF_16_PAGES (PAGE + PAGE)

/* Bus addresses in the default window, the third of them what READER reads */
static const uint64_t places[] = { 0, 5 * PAGE, 1000 * PAGE, 1 * GiB - PAGE };

static void set(SpaprDmaTest *t, const char *id, const char *property, bool to)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);

    qtest_qmp_assert_success(t->qts, "{'execute': 'qom-set', 'arguments':"
                             " { 'path': %s, 'property': %s, 'value': %i } }",
                             path, property, to);
}

static uint64_t get(SpaprDmaTest *t, const char *id, const char *property)
{
    g_autofree char *path = g_strdup_printf("/machine/peripheral/%s", id);
    QDict *answer = qtest_qmp(t->qts, "{'execute': 'qom-get', 'arguments':"
                              " { 'path': %s, 'property': %s } }", path,
                              property);
    uint64_t value = qdict_get_int(answer, "return");

    qobject_unref(answer);
    return value;
}

static void assert_owner(SpaprDmaTest *t, const char *path, const char *json)
{
    QDict *owner = spapr_view_owner(t, 0);

    spapr_assert_json(owner, path, "%s", json);
    qobject_unref(owner);
}

/* How many tables of KVM are open in QEMU */
static unsigned open_tables(SpaprDmaTest *t)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/fd", qtest_pid(t->qts));
    GDir *files = g_dir_open(dir, 0, NULL);
    unsigned count = 0;
    const char *name;

    g_assert_nonnull(files);
    while ((name = g_dir_read_name(files))) {
        g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
        g_autofree char *to = g_file_read_link(path, NULL);

        count += to && strstr(to, "kvm-tce-table");
    }
    g_dir_close(files);
    return count;
}

/* The first windows of the first PHB have this handler, each of them */
static void assert_handler(SpaprDmaTest *t, unsigned windows,
                           const char *handler)
{
    g_autofree char *json = g_strdup_printf("'%s'", handler);

    for (unsigned n = 0; n < windows; n++) {
        g_autofree char *path = g_strdup_printf("windows.%u.handler", n);

        assert_owner(t, path, json);
    }
    g_assert_cmpuint(open_tables(t), ==,
                     g_str_equal(handler, "kvm") ? windows : 0);
}

static void fill(SpaprDmaTest *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, places[i],
                                      (RAM + i * PAGE) | TCE_RW), ==,
                        H_SUCCESS);
    }
}

static void assert_filled(SpaprDmaTest *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        spapr_assert_tce(t, LIOBN_DEFAULT, places[i],
                         (RAM + i * PAGE) | TCE_RW);
        spapr_assert_tce(t, LIOBN_DEFAULT, places[i] ^ PAGE, 0);
    }
}

/* Is the default window counted if somebody asks so?  NULL: it is not */
static void assert_counted(SpaprDmaTest *t, QDict *arguments,
                           const char *populated)
{
    QDict *answer = qtest_qmp_assert_success_ref(t->qts,
        "{'execute': 'query-spapr-dma', 'arguments': %p}", arguments);
    QDict *owner = qobject_to(QDict, qlist_peek(qdict_get_qlist(answer,
                                                                "owners")));
    QDict *window = qobject_to(QDict, qlist_peek(qdict_get_qlist(owner,
                                                                 "windows")));

    if (populated) {
        spapr_assert_json(window, "populated", "%s", populated);
    } else {
        g_assert_false(qdict_haskey(window, "populated"));
    }
    spapr_assert_json(window, "table-bytes", "2097152");
    qobject_unref(answer);
}

static QDict *count_kvm(bool count)
{
    QDict *arguments = qdict_new();

    qdict_put_bool(arguments, "count-kvm", count);
    return arguments;
}

/* What there is to see; a table is counted only if somebody asks for that */
static void test_view(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM);
    g_autofree char *said = NULL;

    assert_handler(t, 1, "kvm");
    fill(t);
    assert_counted(t, qdict_new(), NULL);
    assert_counted(t, count_kvm(false), NULL);
    assert_counted(t, count_kvm(true), "4");
    said = qtest_hmp(t->qts, "info spapr-dma");
    g_assert_nonnull(strstr(said,
        "  window 0x80000000, default: 0x0 to 0x3fffffff\r\n"
        "    262144 pages of 4 KiB, table of 2 MiB\r\n"
        "    handler: kvm, 0 notifiers\r\n"));
    spapr_dma_quit(t);
}

static void assert_locked(SpaprDmaTest *t, uint64_t tables)
{
    QDict *all = qtest_qmp_assert_success_ref(t->qts,
                                              "{'execute': 'query-spapr-dma'}");

    spapr_assert_json(all, "locked-memory", "{ 'ram': 0, 'host-tables': 0,"
                      " 'kvm-tables': %" PRIu64 ", 'sum': %" PRIu64 " }",
                      tables, tables);
    qobject_unref(all);
}

/* Locked memory: what KVM has for windows that are there or will be */
static void test_locked(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER);
    g_autofree char *said = NULL;

    /* 256 MiB are sixteen pages of 16 MiB */
    assert_locked(t, OF_DEFAULT + OF_16_PAGES);
    said = qtest_hmp(t->qts, "info spapr-dma");
    g_assert_nonnull(strstr(said, "must be lockable: 2113536 bytes, RAM 0 B,"
                            " tables of the host 0 B, of KVM 2.02 MiB\r\n"));
    g_assert_cmpint(spapr_ddw_create(t, 12, 30).status, ==, RTAS_OK);
    assert_handler(t, 2, "kvm");
    assert_locked(t, 2 * OF_DEFAULT);
    set(t, "c", "joined", true);
    assert_locked(t, 2 * OF_DEFAULT);
    set(t, "c", "joined", false);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    assert_locked(t, OF_DEFAULT + OF_16_PAGES);

    /* If KVM makes none, then perhaps since too little can be locked */
    set(t, "kvm", "tables", false);
    qtest_system_reset(t->qts);
    assert_handler(t, 1, "qemu-kvm-no-table");
    assert_locked(t, OF_DEFAULT + OF_16_PAGES);
    spapr_dma_quit(t);
}

/* Windows leave KVM and come back, and nobody loses what is mapped */
static void test_container(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER);

    fill(t);
    set(t, "c", "joined", true);
    assert_handler(t, 1, "kvm");
    assert_filled(t);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, ARRAY_SIZE(places));
    set(t, "c", "joined", false);
    assert_handler(t, 1, "kvm");
    assert_filled(t);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, 0);

    set(t, "c", "refuses-kvm", true);
    set(t, "c", "joined", true);
    assert_handler(t, 1, "qemu-kvm-no-connect");
    assert_filled(t);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, ARRAY_SIZE(places));
    /* It is tried again at a reset */
    set(t, "c", "refuses-kvm", false);
    qtest_system_reset(t->qts);
    assert_handler(t, 1, "kvm");
    spapr_dma_quit(t);
}

/* All windows of a bus leave KVM if it cannot update a container there */
static void test_not_updated(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER);

    set(t, "kvm", "updates-vfio", false);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    assert_handler(t, 2, "kvm");
    set(t, "c", "joined", true);
    assert_handler(t, 2, "qemu-no-vfio-in-kvm");
    set(t, "c", "joined", false);
    assert_handler(t, 2, "kvm");
    spapr_dma_quit(t);
}

/* A machine reset leaves nothing mapped, and windows with KVM */
static void test_reset(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER);

    set(t, "c", "joined", true);
    fill(t);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, ARRAY_SIZE(places));
    qtest_system_reset(t->qts);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, 0);
    assert_handler(t, 1, "kvm");
    assert_counted(t, qdict_new(), NULL);
    assert_counted(t, count_kvm(true), "0");
    spapr_dma_quit(t);
}

/* KVM's table is closed before a container loses a window */
static void test_remove(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER);

    set(t, "c", "joined", true);
    fill(t);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    assert_handler(t, 2, "kvm");
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpuint(get(t, "c", "mapped"), ==, 0);
    spapr_assert_no_window(t, LIOBN_DEFAULT);
    assert_handler(t, 1, "kvm");
    spapr_dma_quit(t);
}

/* Each word of KVM's table has to be looked at, so not all in one go */
static void test_step(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM);
    QDict *runs;

    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 40000 * PAGE,
                                  RAM | TCE_RO), ==, H_SUCCESS);
    runs = spapr_view_runs(t, LIOBN_DEFAULT, 0, 1);
    spapr_assert_json(runs, "", "{ 'runs': [], 'next': 32768 }");
    qobject_unref(runs);
    runs = spapr_view_runs(t, LIOBN_DEFAULT, 32768, 1);
    spapr_assert_json(runs, "next", "40001");
    qobject_unref(runs);
    spapr_dma_quit(t);
}

/* Words in a table of KVM take no memory of QEMU's, so they always find room */
static void test_budget(void)
{
    const uint64_t stretch = 512 * PAGE;
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM);
    uint64_t at = WINDOW_64;

    g_assert_cmpint(spapr_ddw_create(t, 12, 45).status, ==, RTAS_OK);
    assert_owner(t, "windows.0.handler", "'kvm'");
    assert_owner(t, "windows.1.handler", "'qemu-too-large'");
    while (!spapr_put_tce(t, LIOBN_64, at, TCE_RW)) {
        at += stretch;
    }
    assert_owner(t, "windows.1.last-refusal.reason", "'table-memory'");
    fill(t);
    assert_filled(t);
    spapr_dma_quit(t);
}

/* Who looks at a table still finds what was there when it has left KVM */
static void test_reader(void)
{
    SpaprDmaTest *t = spapr_dma_boot(WITH_KVM CONTAINER READER);

    fill(t);
    set(t, "r", "reading", true);
    g_assert_cmphex(get(t, "r", "word"), ==, (RAM + 2 * PAGE) | TCE_RW);
    set(t, "c", "refuses-kvm", true);
    set(t, "c", "joined", true);
    assert_handler(t, 1, "qemu-kvm-no-connect");
    g_assert_cmphex(get(t, "r", "word"), ==, (RAM + 2 * PAGE) | TCE_RW);
    set(t, "r", "reading", false);
    spapr_dma_quit(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("spapr-kvm/view", test_view);
    qtest_add_func("spapr-kvm/locked", test_locked);
    qtest_add_func("spapr-kvm/container", test_container);
    qtest_add_func("spapr-kvm/not-updated", test_not_updated);
    qtest_add_func("spapr-kvm/reset", test_reset);
    qtest_add_func("spapr-kvm/remove", test_remove);
    qtest_add_func("spapr-kvm/step", test_step);
    qtest_add_func("spapr-kvm/budget", test_budget);
    qtest_add_func("spapr-kvm/reader", test_reader);
    return g_test_run();
}
