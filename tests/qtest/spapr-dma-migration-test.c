/*
 * sPAPR DMA windows: migration
 *
 * A machine is set up, migrated into a second one, and every entry of every
 * window there is compared with what was stored in the first.
 *
 * Each case runs from the binary under test into itself and, if
 * QTEST_QEMU_STOCK names a qemu-system-ppc64 without our DMA windows (but with
 * the "hcall" qtest verb), also between the two in both directions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "spapr-dma-common.h"

#define STOCK           "QTEST_QEMU_STOCK"
#define PHB1            0x100U

/**
 * Window: one that is set up by hand and found again
 *
 * @page_shift, @shift: log2 of the sizes of a page and of the window
 * @addr: where it lies
 */
typedef struct Window {
    uint32_t liobn;
    uint64_t addr;
    uint32_t page_shift;
    uint32_t shift;
} Window;

/**
 * Case: what is migrated
 *
 * @options: for both machines
 * @prepare: creates and removes windows
 * @windows: those that are there afterwards, up to one with @liobn 0
 * @gone: number of a window that must not be there, or 0
 * @into_stock: stock QEMU can load it
 */
typedef struct Case {
    const char *name;
    const char *options;
    void (*prepare)(SpaprDmaTest *t);
    Window windows[4];
    uint32_t gone;
    bool into_stock;
} Case;

typedef struct Direction {
    const char *name;
    const char *from;   /* environment variable, NULL: binary under test */
    const char *to;
} Direction;

typedef struct Run {
    const Case *c;
    const Direction *d;
} Run;

/* What is stored at @index: holes, runs, single pages, words that map none */
static uint64_t word(const Window *w, uint64_t index)
{
    uint64_t page = 1ULL << w->page_shift;
    uint64_t mix = index * 0x9e3779b97f4a7c15ULL >> 40;

    switch (index / 64 % 5) {
    case 0:
        return (index * page) % TEST_RAM | TCE_RW;
    case 1:
        return 0;
    case 2:
        return (mix * page) % TEST_RAM | mix % 4;
    case 3:
        return mix % 2 ? 0 : mix << 40 | 0xff8;
    default:
        return (mix * page) % TEST_RAM | TCE_RO;
    }
}

/* The entries that are set: the first, some in the middle, the last */
static uint64_t sample(const Window *w, unsigned int i, uint64_t *index)
{
    uint64_t entries = 1ULL << (w->shift - w->page_shift);

    g_assert_cmpuint(entries, >=, 4096);
    *index = (i / 512 == 0 ? 0 :
              i / 512 == 1 ? entries / 2 - 256 : entries - 512) + i % 512;
    return w->addr + (*index << w->page_shift);
}

#define SAMPLES (3 * 512)

static void fill(SpaprDmaTest *t, const Window *w)
{
    uint64_t tces[512], index;

    for (unsigned int i = 0; i < SAMPLES; i += 512) {
        for (unsigned int j = 0; j < 512; j++) {
            sample(w, i + j, &index);
            tces[j] = word(w, index);
        }
        g_assert_cmpint(spapr_put_tce_indirect(t, w->liobn,
                                               sample(w, i, &index), tces,
                                               512), ==, H_SUCCESS);
    }
}

/* Do devices see the window where hypercalls do? */
static void check_bus(SpaprDmaTest *t, const Window *w)
{
    g_autofree char *view = qtest_hmp(t->qts, "info mtree -f");
    g_autofree char *line = g_strdup_printf(
        "  %016" PRIx64 "-%016" PRIx64 " (prio 0, i/o): tce-iommu-%x",
        w->addr, w->addr + (UINT64_C(1) << w->shift) - 1, w->liobn);

    g_assert_nonnull(strstr(view, line));
}

static void check(SpaprDmaTest *t, const Window *w)
{
    uint64_t entries = 1ULL << (w->shift - w->page_shift);
    uint64_t index, addr;

    for (unsigned int i = 0; i < SAMPLES; i++) {
        addr = sample(w, i, &index);
        spapr_assert_tce(t, w->liobn, addr, word(w, index));
    }
    /* what was never written is still empty */
    for (unsigned int i = 0; i < 64; i++) {
        index = 512 + (entries / 2 - 1024) / 64 * i;
        spapr_assert_tce(t, w->liobn, w->addr + (index << w->page_shift), 0);
    }
    spapr_assert_window(t, w->liobn, w->addr, w->page_shift, w->shift);
    check_bus(t, w);
}

static void assert_qmp_ok(QTestState *qts, QDict *response)
{
    if (!qdict_haskey(response, "return")) {
        g_test_message("%s", qdict_get_try_str(
            qdict_get_qdict(response, "error"), "desc"));
        g_assert_not_reached();
    }
    qobject_unref(response);
}

static void wait_migrated(QTestState *qts)
{
    g_assert_true(spapr_migrated(qts, "completed"));
}

/* Boots the second machine; the first stays as it was at the end */
static SpaprDmaTest *migrate(SpaprDmaTest *from, const char *env,
                             const char *options)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *uri = g_strdup_printf("unix:%s/stream", dir);
    SpaprDmaTest *to = spapr_dma_boot_env(env, "%s -incoming %s", options,
                                          uri);

    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate', 'arguments': { 'uri': %s } }", uri));
    wait_migrated(from->qts);
    wait_migrated(to->qts);

    unlink(uri + strlen("unix:"));
    rmdir(dir);
    return to;
}

static bool missing(const char *env)
{
    return env && !getenv(env);
}

static void run(gconstpointer data)
{
    const Run *r = data;
    const Window *w;
    SpaprDmaTest *from, *to;

    if (missing(r->d->from) || missing(r->d->to)) {
        g_test_skip(STOCK " names no stock qemu-system-ppc64");
        return;
    }
    from = spapr_dma_boot_env(r->d->from, "%s", r->c->options);
    r->c->prepare(from);
    for (w = r->c->windows; w->liobn; w++) {
        fill(from, w);
    }

    to = migrate(from, r->d->to, r->c->options);
    for (w = r->c->windows; w->liobn; w++) {
        check(to, w);
    }
    if (r->c->gone) {
        spapr_assert_no_window(to, r->c->gone);
    }
    /* the count that the guest was told still holds */
    spapr_assert_available(to, spapr_ddw_query(from, 6).windows);

    spapr_dma_quit(from);
    spapr_dma_quit(to);
}

static void assert_create(SpaprDmaTest *t, uint32_t page_shift,
                          uint32_t window_shift, uint32_t liobn)
{
    SpaprDdwWindow w = spapr_ddw_create(t, page_shift, window_shift);

    g_assert_cmpint(w.status, ==, RTAS_OK);
    g_assert_cmphex(w.liobn, ==, liobn);
}

static void assert_remove(SpaprDmaTest *t, uint32_t liobn)
{
    g_assert_cmpint(spapr_ddw_remove(t, liobn), ==, RTAS_OK);
}

static void prepare_nothing(SpaprDmaTest *t)
{
}

static void prepare_64k(SpaprDmaTest *t)
{
    assert_create(t, 16, 30, LIOBN_64);
}

static void prepare_16m(SpaprDmaTest *t)
{
    assert_create(t, 24, 37, LIOBN_64);
}

static void prepare_huge(SpaprDmaTest *t)
{
    assert_create(t, 12, 49, LIOBN_64);
}

static void prepare_limited(SpaprDmaTest *t)
{
    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    assert_create(t, 16, 30, LIOBN_64);
}

static void prepare_only_64(SpaprDmaTest *t)
{
    assert_create(t, 16, 30, LIOBN_64);
    assert_remove(t, LIOBN_DEFAULT);
}

static void prepare_removed(SpaprDmaTest *t)
{
    assert_create(t, 16, 30, LIOBN_64);
    assert_remove(t, LIOBN_64);
}

static void prepare_none(SpaprDmaTest *t)
{
    assert_remove(t, LIOBN_DEFAULT);
}

/* The number and the place of the default, as many pages, of another size */
static void prepare_lookalike(SpaprDmaTest *t)
{
    assert_remove(t, LIOBN_DEFAULT);
    assert_create(t, 16, 34, LIOBN_DEFAULT);
    assert_create(t, 16, 30, LIOBN_64);
}

static void prepare_phb1(SpaprDmaTest *t)
{
    t->buid = BUID_PHB0 + 1;
    assert_create(t, 24, 37, LIOBN_64 + PHB1);
    assert_remove(t, LIOBN_DEFAULT + PHB1);
    t->buid = BUID_PHB0;
}

#define DEFAULT_WINDOW { LIOBN_DEFAULT, WINDOW_DEFAULT, 12, DEFAULT_SHIFT }

static const Case cases[] = {
    {
        "default", "", prepare_nothing,
        { DEFAULT_WINDOW }, LIOBN_64, true,
    }, {
        "64k", "", prepare_64k,
        { DEFAULT_WINDOW, { LIOBN_64, WINDOW_64, 16, 30 } }, 0, true,
    }, {
        "16m", "", prepare_16m,
        { DEFAULT_WINDOW, { LIOBN_64, WINDOW_64, 24, 37 } }, 0, true,
    }, {
        "default-removed", "", prepare_only_64,
        { { LIOBN_64, WINDOW_64, 16, 30 } }, LIOBN_DEFAULT, true,
    }, {
        "64-removed", "", prepare_removed,
        { DEFAULT_WINDOW }, LIOBN_64, true,
    }, {
        "no-window", "", prepare_none,
        { }, LIOBN_DEFAULT, true,
    }, {
        "B8-lookalike", "", prepare_lookalike,
        {
            { LIOBN_64, WINDOW_64, 16, 30 },
            { LIOBN_DEFAULT, WINDOW_DEFAULT, 16, 34 },
        }, 0, false,
    }, {
        "phb1", "-device spapr-pci-host-bridge,index=1", prepare_phb1,
        {
            DEFAULT_WINDOW, { LIOBN_64 + PHB1, WINDOW_64, 24, 37 },
        }, LIOBN_DEFAULT + PHB1, true,
    }, {
        "vio", "-device spapr-vscsi,reg=0x71000003", prepare_nothing,
        { DEFAULT_WINDOW, { 0x71000003, 0, 12, 28 } }, LIOBN_64, true,
    },
};

/* Cases that stock QEMU cannot take part in */
static const Case ours[] = {
    {
        /* as an array this table has 2^40 bytes */
        "A7-huge", "", prepare_huge,
        { DEFAULT_WINDOW, { LIOBN_64, WINDOW_64, 12, 49 } }, 0, false,
    }, {
        "sparse", "-global spapr-tce-table.sparse-migration=on", prepare_64k,
        { DEFAULT_WINDOW, { LIOBN_64, WINDOW_64, 16, 30 } }, 0, false,
    }, {
        "sparse-default-removed",
        "-global spapr-tce-table.sparse-migration=on", prepare_only_64,
        { { LIOBN_64, WINDOW_64, 16, 30 } }, LIOBN_DEFAULT, false,
    }, {
        "limited", "", prepare_limited,
        { DEFAULT_WINDOW, { LIOBN_64, WINDOW_LIMITED, 16, 30 } }, 0, false,
    },
};

static const Direction directions[] = {
    { "to-itself", NULL, NULL },
    { "from-stock", STOCK, NULL },
    { "into-stock", NULL, STOCK },
};

/* PAPR's rule about the default window holds on the other side, too. */
static void test_default_after(void)
{
    SpaprDmaTest *from = spapr_dma_boot("%s", "");
    SpaprDmaTest *to;

    prepare_only_64(from);
    to = migrate(from, NULL, "");
    assert_remove(to, LIOBN_64);
    spapr_assert_default(to);
    assert_remove(to, LIOBN_DEFAULT);
    spapr_assert_available(to, 2);
    spapr_dma_quit(from);
    spapr_dma_quit(to);
}

/* B1: a window that has the default's number is still not the default. */
static void test_number_reused_after(void)
{
    SpaprDmaTest *from = spapr_dma_boot("%s", "");
    SpaprDmaTest *to;

    assert_remove(from, LIOBN_DEFAULT);
    assert_create(from, 16, 34, LIOBN_DEFAULT);
    to = migrate(from, NULL, "");
    spapr_assert_window(to, LIOBN_DEFAULT, WINDOW_DEFAULT, 16, 34);
    assert_remove(to, LIOBN_DEFAULT);
    spapr_assert_default(to);
    spapr_dma_quit(from);
    spapr_dma_quit(to);
}

/* Each side reads either form, whatever it would send itself. */
static void test_sparse_to_dense(void)
{
    static const char *const options[] = {
        "-global spapr-tce-table.sparse-migration=on", "",
        "-global spapr-tce-table.sparse-migration=on",
    };
    const Case *c = &cases[1];
    SpaprDmaTest *t[ARRAY_SIZE(options)];
    const Window *w;

    t[0] = spapr_dma_boot("%s", options[0]);
    c->prepare(t[0]);
    for (w = c->windows; w->liobn; w++) {
        fill(t[0], w);
    }
    for (unsigned int i = 1; i < ARRAY_SIZE(t); i++) {
        t[i] = migrate(t[i - 1], NULL, options[i]);
        for (w = c->windows; w->liobn; w++) {
            check(t[i], w);
        }
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
        spapr_dma_quit(t[i]);
    }
}

/* Windows go on being created where the guest asked for them. */
static void test_limited_after(void)
{
    SpaprDmaTest *from = spapr_dma_boot("%s", "");
    SpaprDmaTest *to;
    SpaprDdwWindow w;

    g_assert_cmpint(spapr_ddw_reset_mode(from, 1), ==, RTAS_OK);
    to = migrate(from, NULL, "");
    w = spapr_ddw_create(to, 16, 30);
    g_assert_cmpint(w.status, ==, RTAS_OK);
    g_assert_cmphex(w.addr, ==, WINDOW_LIMITED);
    spapr_dma_quit(from);
    spapr_dma_quit(to);
}

/* The default window has another place or size here: the sender's counts. */
static void test_other_default(gconstpointer options)
{
    const Window default_window = DEFAULT_WINDOW;
    SpaprDmaTest *from = spapr_dma_boot("%s", "");
    SpaprDmaTest *to;
    QDict *window;
    uint64_t tce;

    fill(from, &default_window);
    to = migrate(from, NULL, options);
    check(to, &default_window);
    window = spapr_view_window(to, LIOBN_DEFAULT);
    spapr_assert_json(window, "kind", "'dynamic'");
    qobject_unref(window);
    /* it is not the default of that machine, so a reset takes it away */
    g_assert_cmpint(spapr_ddw_reset(to), ==, RTAS_OK);
    g_assert_cmpint(spapr_get_tce(to, LIOBN_DEFAULT, 0x10000000, &tce), ==,
                    H_PARAMETER);
    spapr_dma_quit(from);
    spapr_dma_quit(to);
}

/*
 * Streams that no QEMU has sent
 */

/**
 * Stream: what a machine with a 64-bit window has sent
 * @geometry: offset of the window's bus address, 8 bytes, and its page shift,
 *            4 bytes
 *
 * In the sparse form the number of entries, 8 bytes, comes later, followed by
 * the first span: count, 4 bytes, index, 8 bytes, words.
 */
typedef struct Stream {
    char *bytes;
    gsize size;
    gsize geometry;
} Stream;

/* Where the fields of the first such subsection after @from begin */
static gsize find_fields(const Stream *s, gsize from, const char *name)
{
    const char *at = memmem(s->bytes + from, s->size - from, name,
                            strlen(name));

    g_assert_nonnull(at);
    return at - s->bytes + strlen(name) + 4 /* version */;
}

/* What @from sends; that machine ends */
static Stream *send_stream(SpaprDmaTest *from)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "stream", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    Stream *s = g_new0(Stream, 1);

    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate', 'arguments': { 'uri': %s } }", uri));
    wait_migrated(from->qts);
    spapr_dma_quit(from);
    g_assert_true(g_file_get_contents(path, &s->bytes, &s->size, NULL));
    unlink(path);
    rmdir(dir);
    s->geometry = find_fields(s, 0, "spapr_iommu_ex");
    return s;
}

static Stream *save_stream(const char *options)
{
    SpaprDmaTest *from = spapr_dma_boot("%s", options);
    const Window window = { LIOBN_64, WINDOW_64, 16, 30 };

    prepare_64k(from);
    fill(from, &window);
    return send_stream(from);
}

static void stream_free(Stream *s)
{
    g_free(s->bytes);
    g_free(s);
}

/* Returns whether a machine takes it that was started with -incoming defer */
static bool receive(SpaprDmaTest *to, const Stream *s)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "stream", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    bool taken;

    g_assert_true(g_file_set_contents(path, s->bytes, s->size, NULL));
    assert_qmp_ok(to->qts, qtest_qmp(to->qts,
        "{ 'execute': 'migrate-incoming', 'arguments':"
        " { 'uri': %s, 'exit-on-error': false } }", uri));
    taken = spapr_migrated(to->qts, "completed");
    unlink(path);
    rmdir(dir);
    return taken;
}

/* The same with one that must be well in any case */
static bool load_stream(const Stream *s)
{
    SpaprDmaTest *to = spapr_dma_boot("%s", "-incoming defer");
    bool taken = receive(to, s);

    spapr_dma_quit(to);
    return taken;
}

/* The same with other bytes at one place, @value with its highest byte first */
static bool load_changed(Stream *s, gsize at, uint64_t value, unsigned bytes)
{
    g_autofree char *old = g_memdup2(s->bytes + at, bytes);
    bool taken;

    for (unsigned i = bytes; i--; value >>= 8) {
        s->bytes[at + i] = value;
    }
    taken = load_stream(s);
    memcpy(s->bytes + at, old, bytes);
    return taken;
}

static void test_bad_geometry(void)
{
    Stream *s = save_stream("-global spapr-tce-table.sparse-migration=on");
    gsize offset = s->geometry, shift = offset + 8;
    gsize entries = find_fields(s, offset, "spapr_iommu_sparse");

    g_assert_true(load_stream(s));
    g_assert_true(load_changed(s, shift, 12, 4));
    g_assert_false(load_changed(s, shift, 11, 4));
    g_assert_false(load_changed(s, shift, 64, 4));
    g_assert_false(load_changed(s, entries, 1ULL << 53, 8));
    g_assert_false(load_changed(s, entries, 1ULL << 50, 8));
    g_assert_false(load_changed(s, offset, WINDOW_64 + 1, 8));
    g_assert_true(load_changed(s, offset, WINDOW_64 + 0x10000, 8));
    g_assert_false(load_changed(s, offset, WINDOW_64 + 0x1000, 8));
    g_assert_false(load_changed(s, offset, -0x10000ULL, 8));
    /* where the default window is */
    g_assert_false(load_changed(s, offset, 0x10000000, 8));
    stream_free(s);
}

static void test_bad_spans(void)
{
    Stream *s = save_stream("-global spapr-tce-table.sparse-migration=on");
    gsize span = find_fields(s, s->geometry, "spapr_iommu_sparse") + 8;

    g_assert_false(load_changed(s, span, 0x4001, 4));
    g_assert_false(load_changed(s, span + 4, 0x4000, 8));
    g_assert_false(load_changed(s, span + 4, -1ULL, 8));
    s->size = span + 2;
    g_assert_false(load_stream(s));
    stream_free(s);
}

/* Returns how many bytes were sent */
static gsize send_to_file(SpaprDmaTest *from, const char *dir)
{
    g_autofree char *path = g_build_filename(dir, "stream", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    struct stat sent;

    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate', 'arguments': { 'uri': %s } }", uri));
    wait_migrated(from->qts);
    g_assert_cmpint(stat(path, &sent), ==, 0);
    unlink(path);
    return sent.st_size;
}

/*
 * D8: 2^@window_shift bytes in 4 KiB pages, none of them mapped.  As an array
 * of words they took so long to send that nobody waited for the end.
 */
static void check_unused(const char *ram, uint32_t window_shift, bool told)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *log = g_build_filename(dir, "log", NULL);
    SpaprDmaTest *from = spapr_dma_boot("-m %s 2>%s", ram, log);
    g_autofree char *said = NULL;
    const char *text, *again;

    assert_create(from, 12, window_shift, LIOBN_64);
    g_assert_cmpuint(send_to_file(from, dir), <, 32 << 20);
    assert_qmp_ok(from->qts, qtest_qmp(from->qts, "{ 'execute': 'cont' }"));
    g_assert_cmpuint(send_to_file(from, dir), <, 32 << 20);
    spapr_dma_quit(from);

    g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    text = strstr(said, "DMA window 0x80000001 of 0x");
    again = text ? strstr(text + 1, "DMA window") : NULL;
    g_assert_cmpint(!!text, ==, told);
    g_assert_null(again);
    unlink(log);
    rmdir(dir);
}

static void test_unused(void)
{
    check_unused("512M", 32, false);    /* 8 MiB in the form of all versions */
    check_unused("512M", 39, true);     /* would be 1 GiB */
    check_unused("512M", 43, true);     /* would be 16 GiB */
    /* with what can be plugged it may have 4 GiB; twice that is not much */
    check_unused("512M,slots=1,maxmem=2G", 33, false);
    check_unused("512M,slots=1,maxmem=2G", 34, true);
}

/* Who hears of that form in time can still do something else */
static void test_told_before(void)
{
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *log = g_build_filename(dir, "log", NULL);
    g_autofree char *path = g_build_filename(dir, "stream", NULL);
    g_autofree char *uri = g_strdup_printf("file:%s", path);
    SpaprDmaTest *from = spapr_dma_boot("2>%s", log);
    g_autofree char *said = NULL;

    assert_create(from, 12, 39, LIOBN_64);
    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate-set-capabilities', 'arguments': {"
        " 'capabilities': [ { 'capability': 'pause-before-switchover',"
        " 'state': true } ] } }"));
    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate', 'arguments': { 'uri': %s } }", uri));
    g_assert_true(spapr_migrated(from->qts, "pre-switchover"));
    g_assert_true(g_file_get_contents(log, &said, NULL, NULL));
    g_assert_nonnull(strstr(said, "DMA window 0x80000001 of 0x"));
    assert_qmp_ok(from->qts, qtest_qmp(from->qts,
        "{ 'execute': 'migrate-continue', 'arguments': {"
        " 'state': 'pre-switchover' } }"));
    wait_migrated(from->qts);
    spapr_dma_quit(from);
    unlink(path);
    unlink(log);
    rmdir(dir);
}

/* RAM that a TCE leads to may have been unplugged since */
static void test_target_gone(void)
{
    Stream *s = save_stream("-global spapr-tce-table.sparse-migration=on");
    gsize span = find_fields(s, s->geometry, "spapr_iommu_sparse") + 8;
    uint64_t tce = 4 * TEST_RAM | TCE_RW, word = cpu_to_be64(tce);
    SpaprDmaTest *to = spapr_dma_boot("%s", "-incoming defer");

    memcpy(s->bytes + span + 12, &word, sizeof(word));
    g_assert_true(receive(to, s));
    spapr_assert_tce(to, LIOBN_64, WINDOW_64, tce);
    g_assert_cmpint(spapr_put_tce(to, LIOBN_64, WINDOW_64, tce), ==,
                    H_PARAMETER);
    spapr_dma_quit(to);
    stream_free(s);
}

/* A machine that receives words has them once: here 16 MiB of them */
static void test_words_once(void)
{
    const Window w = { LIOBN_64, WINDOW_64, 16, 37 };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    uint64_t leaf = 512ULL << w.page_shift;
    uint64_t before, tces[512];
    Stream *s;

    assert_create(t, w.page_shift, w.shift, LIOBN_64);
    for (unsigned int i = 0; i < ARRAY_SIZE(tces); i++) {
        tces[i] = (uint64_t)i << w.page_shift | TCE_RW;
    }
    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, w.addr, tces, 512), ==,
                    H_SUCCESS);
    for (uint64_t done = leaf; done < 1ULL << w.shift; done += leaf) {
        g_assert_cmpint(spapr_put_tce_list(t, LIOBN_64, w.addr + done, t->list,
                                           512), ==, H_SUCCESS);
    }
    s = send_stream(t);

    /* Pages of RAM that are looked at must not count, so have all of them */
    t = spapr_dma_boot("%s", "-mem-prealloc -incoming defer");
    before = spapr_dma_memory(t, "VmHWM:");
    g_assert_true(receive(t, s));
    if (before) {
        g_assert_cmpuint(spapr_dma_memory(t, "VmHWM:") - before, >, 12 * MiB);
        g_assert_cmpuint(spapr_dma_memory(t, "VmHWM:") - before, <, 24 * MiB);
    }
    spapr_assert_tce(t, LIOBN_64, w.addr + (1ULL << w.shift) - leaf + 0x70000,
                     0x70000 | TCE_RW);
    spapr_dma_quit(t);
    stream_free(s);
}

/* What the machine was used for before is of no account */
static void test_into_used(void)
{
    SpaprDmaTest *from = spapr_dma_boot("%s", "");
    SpaprDmaTest *to = spapr_dma_boot("%s", "-incoming defer");
    Stream *s;

    g_assert_cmpint(spapr_put_tce(from, LIOBN_DEFAULT, 0, TCE_RW), ==,
                    H_SUCCESS);
    prepare_64k(from);
    s = send_stream(from);

    g_assert_cmpint(spapr_put_tce(to, LIOBN_DEFAULT, 0, 0x10000 | TCE_RO), ==,
                    H_SUCCESS);
    g_assert_cmpint(spapr_put_tce(to, LIOBN_DEFAULT, 0x1000, TCE_RW), ==,
                    H_SUCCESS);
    prepare_64k(to);
    g_assert_cmpint(spapr_put_tce(to, LIOBN_64, WINDOW_64, TCE_RW), ==,
                    H_SUCCESS);
    g_assert_true(receive(to, s));
    spapr_assert_tce(to, LIOBN_DEFAULT, 0, TCE_RW);
    spapr_assert_tce(to, LIOBN_DEFAULT, 0x1000, 0);
    spapr_assert_tce(to, LIOBN_64, WINDOW_64, 0);
    spapr_dma_quit(to);
    stream_free(s);
}

/*
 * Snapshots: one machine saves and loads
 */

/* blockdev-create with the options, in JSON, of what is to be made */
static void make_image(SpaprDmaTest *t, const char *options)
{
    assert_qmp_ok(t->qts, qtest_qmp(t->qts,
        "{ 'execute': 'blockdev-create', 'arguments': { 'job-id': 'make',"
        " 'options': %p } }", qobject_from_json(options, &error_abort)));
    for (bool done = false; !done; ) {
        QDict *event = qtest_qmp_eventwait_ref(t->qts, "JOB_STATUS_CHANGE");

        done = !strcmp(qdict_get_str(qdict_get_qdict(event, "data"), "status"),
                       "concluded");
        qobject_unref(event);
    }
    assert_qmp_ok(t->qts, qtest_qmp(t->qts, "{ 'execute': 'job-dismiss',"
                                    " 'arguments': { 'id': 'make' } }"));
}

/* A disk of no device, with room for snapshots in the file @path */
static void add_disk(SpaprDmaTest *t, const char *path)
{
    g_autofree char *file = g_strdup_printf("{ 'driver': 'file',"
        " 'filename': '%s', 'size': 0 }", path);

    make_image(t, file);
    assert_qmp_ok(t->qts, qtest_qmp(t->qts,
        "{ 'execute': 'blockdev-add', 'arguments': { 'driver': 'file',"
        " 'node-name': 'file', 'filename': %s } }", path));
    make_image(t, "{ 'driver': 'qcow2', 'file': 'file', 'size': 65536 }");
    assert_qmp_ok(t->qts, qtest_qmp(t->qts,
        "{ 'execute': 'blockdev-add', 'arguments': { 'driver': 'qcow2',"
        " 'node-name': 'disk', 'file': 'file' } }"));
}

/* savevm and loadvm say something only if they fail */
static void assert_hmp_ok(SpaprDmaTest *t, const char *command)
{
    g_autofree char *said = qtest_hmp(t->qts, "%s", command);

    g_assert_cmpstr(said, ==, "");
}

static void test_snapshots(gconstpointer options)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", (const char *)options);
    g_autofree char *dir = g_dir_make_tmp("spapr-dma-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "disk", NULL);
    const uint64_t one = 0x10000 | TCE_RW, other = 0x20000 | TCE_RO;

    add_disk(t, path);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, one), ==, H_SUCCESS);
    assert_hmp_ok(t, "savevm before");

    prepare_64k(t);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, one), ==, H_SUCCESS);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, other), ==, H_SUCCESS);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0x1000, other), ==,
                    H_SUCCESS);
    assert_hmp_ok(t, "savevm after");

    assert_hmp_ok(t, "loadvm before");
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_default(t);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, one);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0x1000, 0);

    assert_hmp_ok(t, "loadvm after");
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 16, 30);
    spapr_assert_tce(t, LIOBN_64, WINDOW_64, one);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, other);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0x1000, other);
    spapr_dma_quit(t);
    unlink(path);
    rmdir(dir);
}

/*
 * A VIO device whose bus is the guest's memory
 */

#define VSCSI   "-device spapr-vscsi,reg=0x71000003"

static bool translates(SpaprDmaTest *t)
{
    g_autofree char *view = qtest_hmp(t->qts, "info mtree -f");

    return strstr(view, "tce-iommu-71000003");
}

static void test_bypass_after(void)
{
    SpaprDmaTest *t[3];

    t[0] = spapr_dma_boot(VSCSI);
    for (unsigned int i = 0; i < ARRAY_SIZE(t) - 1; i++) {
        uint32_t args[] = { 0x71000003, !i }, ret[8];

        g_assert_cmpint(spapr_rtas(t[i], "ibm,set-tce-bypass", 2, args, 1,
                                   ret), ==, RTAS_OK);
        g_assert_true(translates(t[i]) == !!i);
        t[i + 1] = migrate(t[i], NULL, VSCSI);
        g_assert_true(translates(t[i + 1]) == !!i);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
        spapr_dma_quit(t[i]);
    }
}

/* A window of one TCE in the form of all versions, and spans besides */
static void test_both_forms(void)
{
    static const char start[] = "\x80\0\0\x01\0\0\0\0"; /* LIOBN, entries */
    static const char word[8];
    Stream *s = save_stream("-global spapr-tce-table.sparse-migration=on");
    char *at = memmem(s->bytes, s->geometry, start, sizeof(start) - 1);
    g_autoptr(GByteArray) both = g_byte_array_new();
    gsize before;

    g_assert_nonnull(at);
    at[7] = 1;
    before = at + 9 /* and the flag */ - s->bytes;
    g_byte_array_append(both, (guint8 *)s->bytes, before);
    g_byte_array_append(both, (guint8 *)word, sizeof(word));
    g_byte_array_append(both, (guint8 *)s->bytes + before, s->size - before);
    g_assert_false(load_stream(&(Stream) {
        .bytes = (char *)both->data, .size = both->len,
    }));
    stream_free(s);
}

static void test_cut_off(void)
{
    Stream *s = save_stream("");

    /* the words come before it, the last of them zeroes */
    s->size = s->geometry - 0x10000;
    g_assert_false(load_stream(s));
    stream_free(s);
}

/* And once more: what came out of a stream goes into the next one. */
static void test_twice(void)
{
    const Case *c = &cases[1];
    SpaprDmaTest *t[3];

    t[0] = spapr_dma_boot("%s", c->options);
    c->prepare(t[0]);
    for (const Window *w = c->windows; w->liobn; w++) {
        fill(t[0], w);
    }
    t[1] = migrate(t[0], NULL, c->options);
    t[2] = migrate(t[1], NULL, c->options);
    for (const Window *w = c->windows; w->liobn; w++) {
        check(t[2], w);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
        spapr_dma_quit(t[i]);
    }
}

static void add(const Case *c, const Direction *d)
{
    g_autofree char *path = g_strdup_printf("spapr-dma-migration/%s/%s",
                                            c->name, d->name);
    Run *r = g_new(Run, 1);

    *r = (Run) { c, d };
    qtest_add_data_func_full(path, r, run, g_free);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned int j = 0; j < ARRAY_SIZE(directions); j++) {
            if (!directions[j].to || cases[i].into_stock) {
                add(&cases[i], &directions[j]);
            }
        }
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(ours); i++) {
        add(&ours[i], &directions[0]);
    }
    qtest_add_func("spapr-dma-migration/default-after", test_default_after);
    qtest_add_func("spapr-dma-migration/B1-number-reused-after",
                   test_number_reused_after);
    qtest_add_func("spapr-dma-migration/D8-unused", test_unused);
    qtest_add_func("spapr-dma-migration/sparse-to-dense",
                   test_sparse_to_dense);
    qtest_add_data_func("spapr-dma-migration/other-default/size",
                        "-global spapr-pci-host-bridge.dma_win_size=0x8000000",
                        test_other_default);
    qtest_add_data_func("spapr-dma-migration/other-default/place",
                        "-global spapr-pci-host-bridge.dma_win_addr=0x80000000",
                        test_other_default);
    qtest_add_func("spapr-dma-migration/bad/geometry", test_bad_geometry);
    qtest_add_func("spapr-dma-migration/bad/spans", test_bad_spans);
    qtest_add_func("spapr-dma-migration/target-gone", test_target_gone);
    qtest_add_func("spapr-dma-migration/bad/both-forms", test_both_forms);
    qtest_add_func("spapr-dma-migration/bad/cut-off", test_cut_off);
    qtest_add_func("spapr-dma-migration/limited-after", test_limited_after);
    qtest_add_func("spapr-dma-migration/twice", test_twice);
    qtest_add_func("spapr-dma-migration/told-before", test_told_before);
    qtest_add_func("spapr-dma-migration/words-once", test_words_once);
    qtest_add_func("spapr-dma-migration/bypass-after", test_bypass_after);
    qtest_add_func("spapr-dma-migration/into-used", test_into_used);
    qtest_add_data_func("spapr-dma-migration/snapshots/dense", "",
                        test_snapshots);
    qtest_add_data_func("spapr-dma-migration/snapshots/sparse",
                        "-global spapr-tce-table.sparse-migration=on",
                        test_snapshots);

    return g_test_run();
}
