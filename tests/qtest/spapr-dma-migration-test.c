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
#include "qobject/qdict.h"
#include "spapr-dma-common.h"

#define STOCK           "QTEST_QEMU_STOCK"
#define PHB1            0x100U
#define WAIT_US         (20 * 1000)
#define WAIT_ROUNDS     3000

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
        w->addr, w->addr + (1ULL << w->shift) - 1, w->liobn);

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
    for (int i = 0; i < WAIT_ROUNDS; i++) {
        QDict *response = qtest_qmp(qts, "{ 'execute': 'query-migrate' }");
        QDict *answer = qdict_get_qdict(response, "return");
        g_autofree char *status = g_strdup(
            qdict_get_try_str(answer, "status"));

        qobject_unref(response);
        g_assert_cmpstr(status, !=, "failed");
        if (!g_strcmp0(status, "completed")) {
            return;
        }
        g_usleep(WAIT_US);
    }
    g_assert_not_reached();
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
    qtest_add_func("spapr-dma-migration/sparse-to-dense",
                   test_sparse_to_dense);
    qtest_add_func("spapr-dma-migration/limited-after", test_limited_after);
    qtest_add_func("spapr-dma-migration/twice", test_twice);

    return g_test_run();
}
