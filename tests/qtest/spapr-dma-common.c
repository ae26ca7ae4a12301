/*
 * sPAPR DMA windows: what the qtests of them share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "libqos/malloc-spapr.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"
#include "spapr-dma-common.h"

#define PAGE            4096
#define LIST_WORDS      (PAGE / sizeof(uint64_t))
#define RTAS_WORDS      8
#define WAIT_US         (20 * 1000)
#define WAIT_ROUNDS     3000

static SpaprDmaTest *boot(const char *env, const char *fmt, va_list ap)
{
    g_autofree char *more = g_strdup_vprintf(fmt, ap);
    g_autofree char *args = g_strdup_printf(
        "-machine pseries,x-vof=on -m 256M -nodefaults %s", more);
    SpaprDmaTest *t = g_new0(SpaprDmaTest, 1);

    t->qts = qtest_init_with_env(env, args, true);
    spapr_alloc_init(&t->alloc, t->qts, ALLOC_NO_FLAGS);
    t->buid = BUID_PHB0;
    t->scratch = guest_alloc(&t->alloc, PAGE);
    t->list = guest_alloc(&t->alloc, PAGE);
    return t;
}

SpaprDmaTest *spapr_dma_boot(const char *fmt, ...)
{
    SpaprDmaTest *t;
    va_list ap;

    va_start(ap, fmt);
    t = boot(NULL, fmt, ap);
    va_end(ap);
    return t;
}

SpaprDmaTest *spapr_dma_boot_env(const char *env, const char *fmt, ...)
{
    SpaprDmaTest *t;
    va_list ap;

    va_start(ap, fmt);
    t = boot(env, fmt, ap);
    va_end(ap);
    return t;
}

void spapr_dma_quit(SpaprDmaTest *t)
{
    guest_free(&t->alloc, t->list);
    guest_free(&t->alloc, t->scratch);
    alloc_destroy(&t->alloc);
    qtest_quit(t->qts);
    g_free(t);
}

uint64_t spapr_dma_memory(SpaprDmaTest *t, const char *field)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status",
                                            (int)qtest_pid(t->qts));
    g_autofree char *status = NULL;
    const char *at;

    if (g_getenv("ASAN_BUILD")) {
        return 0;
    }
    g_assert_true(g_file_get_contents(path, &status, NULL, NULL));
    at = strstr(status, field);
    g_assert_nonnull(at);
    return g_ascii_strtoull(at + strlen(field), NULL, 10) * KiB;
}

int32_t spapr_rtas(SpaprDmaTest *t, const char *name,
                   uint32_t nargs, const uint32_t *args,
                   uint32_t nret, uint32_t *ret)
{
    uint64_t in = t->scratch;
    uint64_t out = t->scratch + PAGE / 2;
    unsigned int i;

    for (i = 0; i < nargs; i++) {
        qtest_writel(t->qts, in + 4 * i, args[i]);
    }
    for (i = 0; i < RTAS_WORDS; i++) {
        qtest_writel(t->qts, out + 4 * i, RTAS_UNTOUCHED);
    }
    qtest_rtas_call(t->qts, name, nargs, in, nret, out);
    for (i = 0; i < RTAS_WORDS; i++) {
        ret[i] = qtest_readl(t->qts, out + 4 * i);
    }
    return ret[0];
}

SpaprDdwQuery spapr_ddw_query(SpaprDmaTest *t, uint32_t nret)
{
    uint32_t args[] = { 0, t->buid >> 32, t->buid };
    uint32_t ret[RTAS_WORDS];
    SpaprDdwQuery q = { 0 };
    unsigned int i = 3;

    g_assert(nret == 5 || nret == 6);
    q.status = spapr_rtas(t, "ibm,query-pe-dma-window", 3, args, nret, ret);
    q.windows = ret[1];
    q.largest = ret[2];
    if (nret == 6) {
        q.largest = q.largest << 32 | ret[i++];
    }
    q.page_sizes = ret[i++];
    q.migratable = ret[i];
    g_assert_cmphex(ret[nret], ==, RTAS_UNTOUCHED);
    return q;
}

SpaprDdwWindow spapr_ddw_create(SpaprDmaTest *t, uint32_t page_shift,
                                uint32_t window_shift)
{
    uint32_t args[] = {
        0, t->buid >> 32, t->buid, page_shift, window_shift
    };
    uint32_t ret[RTAS_WORDS];
    SpaprDdwWindow w;

    w.status = spapr_rtas(t, "ibm,create-pe-dma-window", 5, args, 4, ret);
    w.liobn = ret[1];
    w.addr = (uint64_t)ret[2] << 32 | ret[3];
    return w;
}

int32_t spapr_ddw_remove(SpaprDmaTest *t, uint32_t liobn)
{
    uint32_t ret[RTAS_WORDS];

    return spapr_rtas(t, "ibm,remove-pe-dma-window", 1, &liobn, 1, ret);
}

int32_t spapr_ddw_reset(SpaprDmaTest *t)
{
    uint32_t args[] = { 0, t->buid >> 32, t->buid };
    uint32_t ret[RTAS_WORDS];

    return spapr_rtas(t, "ibm,reset-pe-dma-window", 3, args, 1, ret);
}

int32_t spapr_ddw_reset_mode(SpaprDmaTest *t, uint32_t mode)
{
    uint32_t args[] = { 0, t->buid >> 32, t->buid, mode };
    uint32_t ret[RTAS_WORDS];

    return spapr_rtas(t, "ibm,reset-pe-dma-window", 4, args, 1, ret);
}

int64_t spapr_put_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t tce)
{
    uint64_t args[] = { liobn, ioba, tce };

    return qtest_hcall(t->qts, H_PUT_TCE, ARRAY_SIZE(args), args, NULL);
}

int64_t spapr_get_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t *tce)
{
    uint64_t args[] = { liobn, ioba };
    uint64_t r4;
    int64_t status;

    status = qtest_hcall(t->qts, H_GET_TCE, ARRAY_SIZE(args), args, &r4);
    if (status == H_SUCCESS) {
        *tce = r4;
    }
    return status;
}

int64_t spapr_put_tce_list(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                           uint64_t list, uint64_t count)
{
    uint64_t args[] = { liobn, ioba, list, count };

    return qtest_hcall(t->qts, H_PUT_TCE_INDIRECT, ARRAY_SIZE(args), args,
                       NULL);
}

int64_t spapr_put_tce_indirect(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                               const uint64_t *tces, uint64_t count)
{
    uint64_t words[LIST_WORDS];
    uint64_t n = MIN(count, LIST_WORDS);
    uint64_t i;

    for (i = 0; i < n; i++) {
        words[i] = cpu_to_be64(tces[i]);
    }
    qtest_memwrite(t->qts, t->list, words, n * sizeof(words[0]));
    return spapr_put_tce_list(t, liobn, ioba, t->list, count);
}

int64_t spapr_stuff_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                        uint64_t tce, uint64_t count)
{
    uint64_t args[] = { liobn, ioba, tce, count };

    return qtest_hcall(t->qts, H_STUFF_TCE, ARRAY_SIZE(args), args, NULL);
}

void spapr_assert_tce(SpaprDmaTest *t, uint64_t liobn, uint64_t ioba,
                      uint64_t tce)
{
    uint64_t found = ~tce;

    g_assert_cmpint(spapr_get_tce(t, liobn, ioba, &found), ==, H_SUCCESS);
    g_assert_cmphex(found, ==, tce);
}

/* The second page has an entry of its own, the middle of the first has not. */
static void assert_page_size(SpaprDmaTest *t, uint32_t liobn, uint64_t addr,
                             uint64_t page)
{
    uint64_t first, second, mark, tce;

    g_assert_cmpint(spapr_get_tce(t, liobn, addr, &first), ==, H_SUCCESS);
    g_assert_cmpint(spapr_get_tce(t, liobn, addr + page, &second), ==,
                    H_SUCCESS);
    mark = ~(first | second | TCE_RW) & ~(PAGE - 1ULL);
    g_assert_cmpint(spapr_put_tce(t, liobn, addr + page, mark), ==, H_SUCCESS);
    spapr_assert_tce(t, liobn, addr, first);
    spapr_assert_tce(t, liobn, addr + page, mark);
    if (spapr_get_tce(t, liobn, addr + page + page / 2, &tce) == H_SUCCESS) {
        g_assert_cmphex(tce, ==, mark);
    }
    g_assert_cmpint(spapr_put_tce(t, liobn, addr + page, second), ==,
                    H_SUCCESS);
}

void spapr_assert_window(SpaprDmaTest *t, uint32_t liobn, uint64_t addr,
                         uint32_t page_shift, uint32_t window_shift)
{
    uint64_t page = 1ULL << page_shift;
    uint64_t end = addr + (1ULL << window_shift);
    uint64_t tce;

    g_assert_cmpint(spapr_get_tce(t, liobn, addr, &tce), ==, H_SUCCESS);
    g_assert_cmpint(spapr_get_tce(t, liobn, end - page, &tce), ==, H_SUCCESS);
    g_assert_cmpint(spapr_get_tce(t, liobn, end, &tce), ==, H_PARAMETER);
    g_assert_cmpint(spapr_get_tce(t, liobn, addr - page, &tce), ==,
                    H_PARAMETER);

    if (window_shift > page_shift) {
        assert_page_size(t, liobn, addr, page);
    }
}

void spapr_assert_no_window(SpaprDmaTest *t, uint32_t liobn)
{
    static const uint64_t places[] = {
        WINDOW_DEFAULT, WINDOW_LIMITED, WINDOW_64
    };
    uint64_t tce;

    for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
        g_assert_cmpint(spapr_get_tce(t, liobn, places[i], &tce), ==,
                        H_PARAMETER);
        g_assert_cmpint(spapr_put_tce(t, liobn, places[i], 0), ==,
                        H_PARAMETER);
        g_assert_cmpint(spapr_stuff_tce(t, liobn, places[i], 0, 1), ==,
                        H_PARAMETER);
        g_assert_cmpint(spapr_put_tce_indirect(t, liobn, places[i],
                                               &(uint64_t) { 0 }, 1), ==,
                        H_PARAMETER);
    }
}

void spapr_assert_default(SpaprDmaTest *t)
{
    uint32_t phb = t->buid - BUID_PHB0;

    spapr_assert_window(t, LIOBN_DEFAULT + (phb << 8), WINDOW_DEFAULT, 12,
                        DEFAULT_SHIFT);
}

void spapr_assert_available(SpaprDmaTest *t, uint32_t windows)
{
    SpaprDdwQuery q = spapr_ddw_query(t, 6);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, windows);
}

bool spapr_migrated(QTestState *qts, const char *status)
{
    for (int i = 0; i < WAIT_ROUNDS; i++) {
        QDict *response = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
        QDict *answer = qdict_get_qdict(response, "return");
        g_autofree char *found = g_strdup(
            qdict_get_try_str(answer, "status"));

        qobject_unref(response);
        if (!g_strcmp0(found, status)) {
            return true;
        }
        if (!g_strcmp0(found, "failed")) {
            return false;
        }
        g_usleep(WAIT_US);
    }
    g_assert_not_reached();
}

/* The member of a dictionary or list, NULL if there is none */
static QObject *member(QObject *of, const char *key)
{
    const QListEntry *entry;
    unsigned n;

    if (qobject_to(QDict, of)) {
        return qdict_get(qobject_to(QDict, of), key);
    }
    g_assert(qobject_to(QList, of));
    n = g_ascii_strtoull(key, NULL, 10);
    QLIST_FOREACH_ENTRY(qobject_to(QList, of), entry) {
        if (!n--) {
            return qlist_entry_obj(entry);
        }
    }
    return NULL;
}

void spapr_assert_json(QDict *from, const char *path, const char *fmt, ...)
{
    g_auto(GStrv) keys = g_strsplit(path, ".", -1);
    g_autofree char *json = NULL;
    QObject *found = QOBJECT(from), *wanted;
    va_list ap;

    va_start(ap, fmt);
    json = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    for (char **key = keys; found && *key; key++) {
        found = member(found, *key);
    }
    wanted = qobject_from_json(json, &error_abort);
    if (!found || !qobject_is_equal(found, wanted)) {
        g_autoptr(GString) has = found ? qobject_to_json(found) : NULL;
        g_autoptr(GString) wants = qobject_to_json(wanted);

        g_printerr("%s is %s\ninstead of %s\n", path,
                   has ? has->str : "missing", wants->str);
        g_assert_not_reached();
    }
    qobject_unref(wanted);
}

static QDict *view(SpaprDmaTest *t)
{
    return qtest_qmp_assert_success_ref(t->qts,
                                        "{'execute': 'query-spapr-dma'}");
}

QDict *spapr_view_owner(SpaprDmaTest *t, unsigned n)
{
    g_autofree char *key = g_strdup_printf("%u", n);
    QDict *all = view(t), *owner;

    owner = qobject_to(QDict, member(qdict_get(all, "owners"), key));
    g_assert_nonnull(owner);
    qobject_ref(owner);
    qobject_unref(all);
    return owner;
}

uint64_t spapr_view_locked(SpaprDmaTest *t, const char *what)
{
    QDict *all = view(t);
    uint64_t bytes = qdict_get_int(qdict_get_qdict(all, "locked-memory"),
                                   what);

    qobject_unref(all);
    return bytes;
}

/* Take what is not the same everywhere out of a window */
static void check_window(SpaprDmaTest *t, QDict *window, uint32_t liobn)
{
    g_autofree char *path = g_strdup(qdict_get_str(window, "qom-path"));
    g_autofree char *name = g_strdup_printf("/tce-table-%x", liobn);
    QDict *property;

    g_assert_true(g_str_has_suffix(path, name));
    property = qtest_qmp(t->qts, "{'execute': 'qom-get', 'arguments':"
                         " { 'path': %s, 'property': 'dma-info' } }", path);
    g_assert_true(qobject_is_equal(qdict_get(property, "return"),
                                   QOBJECT(window)));
    qobject_unref(property);
    g_assert_true(qdict_get_int(window, "table-bytes") ||
                  !qdict_get_int(window, "populated"));
    qdict_del(window, "qom-path");
    qdict_del(window, "table-bytes");
}

QDict *spapr_view_window(SpaprDmaTest *t, uint32_t liobn)
{
    QDict *all = view(t), *found = NULL;
    const QListEntry *owner, *entry;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(all, "owners"), owner) {
        QDict *has = qobject_to(QDict, qlist_entry_obj(owner));

        QLIST_FOREACH_ENTRY(qdict_get_qlist(has, "windows"), entry) {
            QDict *window = qobject_to(QDict, qlist_entry_obj(entry));

            if (qdict_get_int(window, "liobn") == liobn) {
                g_assert_null(found);
                found = qobject_ref(window);
                check_window(t, found, liobn);
            }
        }
    }
    qobject_unref(all);
    return found;
}

QDict *spapr_view_runs(SpaprDmaTest *t, uint32_t liobn, uint64_t index,
                       uint32_t max)
{
    return qtest_qmp_assert_success_ref(t->qts,
        "{'execute': 'query-spapr-dma-runs', 'arguments': { 'liobn': %u,"
        " 'index': %" PRIu64 ", 'max': %u } }", liobn, index, max);
}
