/*
 * sPAPR dynamic DMA windows: the RTAS calls
 *
 * What ibm,query-, create-, remove- and reset-pe-dma-window answer, and
 * which windows exist afterwards.  Windows are looked at with H_GET_TCE.
 *
 * Words: the default window is the one that the machine makes at reset; a
 * dynamic one was created by the guest; the "64-bit" place is where a dynamic
 * window goes as long as the default window's place is taken.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qobject/qdict.h"
#include "spapr-dma-common.h"
#include <libfdt.h>

#define LIOBN_VIO       0x71000003U

#define BLOCK_5         0x80000000ULL   /* largest block, 32-bit answer */
#define BLOCK_6         (1ULL << 37)    /* the same, 64-bit answer */
#define BLOCK_SHIFT     37

/* PAPR: the bit of a page size in the query's answer */
static const struct {
    uint32_t shift;
    uint32_t bit;
} page_sizes[] = {
    { 12, 0x001 }, { 16, 0x002 }, { 21, 0x100 }, { 24, 0x004 }, { 25, 0x008 },
    { 26, 0x010 }, { 27, 0x020 }, { 28, 0x040 }, { 34, 0x080 },
};

#define SIZES_DEFAULT   0x107           /* 4K, 64K, 2M, 16M */

static void assert_created(SpaprDdwWindow w, uint32_t liobn, uint64_t addr)
{
    g_assert_cmpint(w.status, ==, RTAS_OK);
    g_assert_cmphex(w.liobn, ==, liobn);
    g_assert_cmphex(w.addr, ==, addr);
}

static void assert_refused(SpaprDmaTest *t, uint32_t page_shift,
                           uint32_t window_shift)
{
    uint32_t before = spapr_ddw_query(t, 6).windows;

    g_assert_cmpint(spapr_ddw_create(t, page_shift, window_shift).status, ==,
                    RTAS_PARAM_ERROR);
    spapr_assert_available(t, before);
}

static void test_query_5(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwQuery q = spapr_ddw_query(t, 5);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, BLOCK_5);
    g_assert_cmphex(q.page_sizes, ==, SIZES_DEFAULT);
    g_assert_cmphex(q.migratable, ==, 0);
    spapr_dma_quit(t);
}

static void test_query_6(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwQuery q = spapr_ddw_query(t, 6);

    g_assert_cmpint(q.status, ==, RTAS_OK);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, BLOCK_6);
    g_assert_cmphex(q.page_sizes, ==, SIZES_DEFAULT);
    g_assert_cmphex(q.migratable, ==, 0);
    spapr_dma_quit(t);
}

static void test_query_counts(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    spapr_assert_available(t, 1);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    spapr_assert_available(t, 0);
    g_assert_cmpint(spapr_ddw_query(t, 5).windows, ==, 0);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(t, 1);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_OK);
    spapr_assert_available(t, 0);
    spapr_dma_quit(t);
}

/*
 * A call told of a wrong number of words answers -3, writes nothing but the
 * status, and changes nothing.
 */
static void assert_bad_counts(SpaprDmaTest *t, const char *name,
                              const uint32_t *args,
                              uint32_t nargs, uint32_t nret)
{
    uint32_t ret[8];

    g_assert_cmpint(spapr_rtas(t, name, nargs, args, nret, ret), ==,
                    RTAS_PARAM_ERROR);
    for (unsigned int i = 1; i < ARRAY_SIZE(ret); i++) {
        g_assert_cmphex(ret[i], ==, RTAS_UNTOUCHED);
    }
    spapr_assert_available(t, 1);
    spapr_assert_default(t);
}

static void test_wrong_counts(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    uint32_t phb[] = { 0, t->buid >> 32, t->buid, 16, 28, 0 };
    uint32_t liobn[] = { LIOBN_DEFAULT, 0 };

    assert_bad_counts(t, "ibm,query-pe-dma-window", phb, 2, 5);
    assert_bad_counts(t, "ibm,query-pe-dma-window", phb, 4, 5);
    assert_bad_counts(t, "ibm,query-pe-dma-window", phb, 3, 4);
    assert_bad_counts(t, "ibm,query-pe-dma-window", phb, 3, 7);
    assert_bad_counts(t, "ibm,create-pe-dma-window", phb, 4, 4);
    assert_bad_counts(t, "ibm,create-pe-dma-window", phb, 6, 4);
    assert_bad_counts(t, "ibm,create-pe-dma-window", phb, 5, 3);
    assert_bad_counts(t, "ibm,create-pe-dma-window", phb, 5, 5);
    assert_bad_counts(t, "ibm,remove-pe-dma-window", liobn, 0, 1);
    assert_bad_counts(t, "ibm,remove-pe-dma-window", liobn, 2, 1);
    assert_bad_counts(t, "ibm,remove-pe-dma-window", liobn, 1, 2);
    assert_bad_counts(t, "ibm,reset-pe-dma-window", phb, 2, 1);
    assert_bad_counts(t, "ibm,reset-pe-dma-window", phb, 5, 1);
    assert_bad_counts(t, "ibm,reset-pe-dma-window", phb, 3, 2);
    phb[3] = 1;
    assert_bad_counts(t, "ibm,reset-pe-dma-window", phb, 4, 2);
    spapr_dma_quit(t);
}

static void assert_all_refused(SpaprDmaTest *t)
{
    g_assert_cmpint(spapr_ddw_query(t, 5).status, ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_query(t, 6).status, ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_create(t, 16, 28).status, ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_PARAM_ERROR);
}

static void test_unknown_phb(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    t->buid = BUID_PHB0 + 1;
    assert_all_refused(t);
    t->buid = (uint32_t)BUID_PHB0;
    assert_all_refused(t);
    t->buid = BUID_PHB0;
    spapr_assert_available(t, 1);
    spapr_dma_quit(t);
}

static void test_ddw_off(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.ddw=off");

    assert_all_refused(t);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_PARAM_ERROR);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

static void test_create(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 16, 30);
    spapr_assert_default(t);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* A removed window comes back at the same place under the same number. */
static void test_create_again(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    for (int i = 0; i < 20; i++) {
        assert_created(spapr_ddw_create(t, 12 + 4 * (i % 2), 30),
                       LIOBN_64, WINDOW_64);
        spapr_assert_tce(t, LIOBN_64, WINDOW_64, 0);
        g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, TCE_RW), ==,
                        H_SUCCESS);
        g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    }
    spapr_dma_quit(t);
}

static void test_page_shift_bad(void)
{
    static const uint32_t bad[] = {
        0, 1, 11, 13, 15, 17, 20, 22, 23, 25, 26, 27, 28, 34, 63, 64, 65,
        64 + 12, 64 + 16, 128 + 12, 0x80000000, 0x8000000c, 0xffffffff,
    };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_refused(t, bad[i], 30);
        assert_refused(t, bad[i], 44);
        assert_refused(t, bad[i], bad[i]);
    }
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* A6: 76 is 12 modulo 64 */
static void test_page_shift_76(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_refused(t, 76, 30);
    assert_refused(t, 76, 80);
    assert_refused(t, 76, 76);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_dma_quit(t);
}

static void test_window_shift_bad(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_refused(t, 12, 0);
    assert_refused(t, 12, 11);
    assert_refused(t, 24, 0);
    assert_refused(t, 24, 23);
    assert_refused(t, 16, 64);
    assert_refused(t, 24, 64);
    assert_refused(t, 24, 65);
    assert_refused(t, 16, 64 + 30);
    assert_refused(t, 24, 0x80000000);
    assert_refused(t, 24, 0xffffffff);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* One page is a window, and so is the largest block that the query names. */
static void test_window_size_limits(void)
{
    static const uint32_t shifts[] = { 12, 16, 21, 24 };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    for (unsigned int i = 0; i < ARRAY_SIZE(shifts); i++) {
        uint32_t page = shifts[i];

        assert_created(spapr_ddw_create(t, page, page), LIOBN_64, WINDOW_64);
        spapr_assert_window(t, LIOBN_64, WINDOW_64, page, page);
        g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);

        assert_created(spapr_ddw_create(t, page, page + BLOCK_SHIFT),
                       LIOBN_64, WINDOW_64);
        spapr_assert_window(t, LIOBN_64, WINDOW_64, page, page + BLOCK_SHIFT);
        g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);

        assert_refused(t, page, page + BLOCK_SHIFT + 1);
    }
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* B4: what the query promises can be had, and no more */
static void test_largest_block(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwQuery q = spapr_ddw_query(t, 6);

    g_assert_true(is_power_of_2(q.largest));
    for (unsigned int i = 0; i < ARRAY_SIZE(page_sizes); i++) {
        uint32_t page = page_sizes[i].shift;
        uint32_t window = page + ctz64(q.largest);

        if (q.page_sizes & page_sizes[i].bit) {
            assert_refused(t, page, window + 1);
            assert_created(spapr_ddw_create(t, page, window), LIOBN_64,
                           WINDOW_64);
            spapr_assert_window(t, LIOBN_64, WINDOW_64, page, window);
            g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
        }
    }
    spapr_dma_quit(t);
}

/*
 * B10: the address that devices write interrupts to is not hidden by a window
 * that reaches beyond it.
 */
static void assert_msi_reachable(SpaprDmaTest *t)
{
    g_autofree char *view = qtest_hmp(t->qts, "info mtree -f");

    g_assert_nonnull(strstr(view, "tce-iommu"));
    g_assert_nonnull(strstr(view, "  0000040000000000-0000040000000fff "
                                  "(prio 0, i/o): msi"));
}

static void test_msi_reachable(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_msi_reachable(t);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 24, 46), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    assert_msi_reachable(t);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_msi_reachable(t);

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 24, 46), LIOBN_64, WINDOW_LIMITED);
    assert_msi_reachable(t);
    spapr_dma_quit(t);
}

/* A window must end inside the 64-bit address space. */
static void test_window_past_end(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.dma64_win_addr=0xfffffffff0000000");

    assert_refused(t, 16, 29);
    assert_refused(t, 16, 44);
    assert_created(spapr_ddw_create(t, 16, 27), LIOBN_64,
                   0xfffffffff0000000ULL);
    spapr_assert_window(t, LIOBN_64, 0xfffffffff0000000ULL, 16, 27);
    spapr_dma_quit(t);
}

/* A1: 2^32 pages, twice; the second would be a third window */
static void test_create_12_44_twice(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwWindow first = spapr_ddw_create(t, 12, 44);
    SpaprDdwWindow second = spapr_ddw_create(t, 12, 44);

    assert_created(first, LIOBN_64, WINDOW_64);
    g_assert_cmpint(second.status, ==, RTAS_PARAM_ERROR);
    spapr_assert_available(t, 0);
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 12, 44);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* The largest windows cost nothing until they are used, at both ends. */
static void test_create_huge(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    uint64_t last = WINDOW_64 + (1ULL << (12 + BLOCK_SHIFT)) - 4096;

    assert_created(spapr_ddw_create(t, 12, 12 + BLOCK_SHIFT), LIOBN_64,
                   WINDOW_64);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, last, 0x5000 | TCE_RW), ==,
                    H_SUCCESS);
    spapr_assert_tce(t, LIOBN_64, last, 0x5000 | TCE_RW);
    spapr_assert_tce(t, LIOBN_64, last - 4096, 0);
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, WINDOW_64, 0, BLOCK_6), ==,
                    H_SUCCESS);
    spapr_assert_tce(t, LIOBN_64, last, 0);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    spapr_dma_quit(t);
}

/* A4: the number of a VIO device's window */
static void test_remove_vio(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-device spapr-vscsi,reg=0x%x",
                                     LIOBN_VIO);

    spapr_assert_tce(t, LIOBN_VIO, 0, 0);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_VIO), ==, RTAS_PARAM_ERROR);
    spapr_assert_tce(t, LIOBN_VIO, 0, 0);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_VIO, 0, TCE_RW), ==, H_SUCCESS);
    spapr_assert_tce(t, LIOBN_VIO, 0, TCE_RW);
    spapr_assert_available(t, 1);
    spapr_dma_quit(t);
}

static void test_remove_unknown(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_remove(t, 0), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64 + 1), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT + 0x100), ==,
                    RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, 0xffffffff), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_PARAM_ERROR);
    spapr_dma_quit(t);
}

/*
 * A5, A11: the default window's place is free, a 64-bit window is not; the
 * next one goes to the free place under the free number and hides nothing.
 */
static void test_default_recreated(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_created(spapr_ddw_create(t, 16, 32), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_no_window(t, LIOBN_DEFAULT);
    assert_created(spapr_ddw_create(t, 12, 31), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    spapr_assert_window(t, LIOBN_DEFAULT, WINDOW_DEFAULT, 12, 31);
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 16, 32);
    spapr_assert_available(t, 0);
    spapr_dma_quit(t);
}

/* With no window at all the first goes to 0, the second to 2^59. */
static void test_create_without_default(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(t, 2);
    assert_created(spapr_ddw_create(t, 16, 31), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    assert_created(spapr_ddw_create(t, 16, 31), LIOBN_64, WINDOW_64);
    spapr_assert_window(t, LIOBN_DEFAULT, WINDOW_DEFAULT, 16, 31);
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 16, 31);
    spapr_dma_quit(t);
}

/*
 * B4: a place is free only if the whole range is; both places taken is -3.
 * The query has said so before.
 */
static void test_occupancy(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.dma64_win_addr=0x80000000");
    SpaprDdwQuery q;

    /* the window at 2 GiB leaves 2 GiB below it, not 4 */
    assert_created(spapr_ddw_create(t, 16, 28), LIOBN_64, 0x80000000);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    q = spapr_ddw_query(t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.largest, ==, (2 * GiB) >> 24);
    assert_refused(t, 16, 32);
    assert_created(spapr_ddw_create(t, 16, 31), LIOBN_DEFAULT, 0);
    spapr_assert_window(t, LIOBN_64, 0x80000000, 16, 28);
    spapr_assert_window(t, LIOBN_DEFAULT, 0, 16, 31);

    /* a window at 0 that reaches beyond 2 GiB takes both places */
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 32), LIOBN_DEFAULT, 0);
    spapr_assert_available(t, 0);
    assert_refused(t, 16, 28);
    spapr_dma_quit(t);
}

/* B4: places that are no multiple of a page size rule that size out */
static void test_odd_places(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.dma_win_addr=0x1000 "
        "-global spapr-pci-host-bridge.dma64_win_addr=0x100010000");
    SpaprDdwQuery q = spapr_ddw_query(t, 6);

    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.page_sizes, ==, 3);
    g_assert_cmphex(q.largest, ==, BLOCK_6);
    assert_refused(t, 24, 28);
    assert_created(spapr_ddw_create(t, 16, 28), LIOBN_64, 0x100010000);
    spapr_assert_available(t, 0);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    q = spapr_ddw_query(t, 6);
    g_assert_cmpuint(q.windows, ==, 1);
    g_assert_cmphex(q.page_sizes, ==, 1);
    /* There is 4 GiB + 60 KiB of room */
    g_assert_cmphex(q.largest, ==, (4 * GiB) >> 12);
    assert_created(spapr_ddw_create(t, 12, 32), LIOBN_DEFAULT, 0x1000);
    spapr_assert_available(t, 0);
    spapr_dma_quit(t);
}

/* PAPR has no pages below 4 KiB, whatever the property says */
static void test_small_pages(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.pgsz=0x1400");

    g_assert_cmphex(spapr_ddw_query(t, 6).page_sizes, ==, 1);
    assert_refused(t, 10, 20);
    assert_created(spapr_ddw_create(t, 12, 20), LIOBN_64, WINDOW_64);
    spapr_dma_quit(t);
}

/* There are two windows, but just one place */
static void test_one_place(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.dma64_win_addr=0");

    spapr_assert_available(t, 0);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(t, 1);
    assert_created(spapr_ddw_create(t, 16, 28), LIOBN_DEFAULT, 0);
    spapr_assert_available(t, 0);
    assert_refused(t, 16, 28);
    spapr_dma_quit(t);
}

/* B5: no window left is a parameter error */
static void test_third_window(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    spapr_assert_available(t, 0);
    g_assert_cmpint(spapr_ddw_create(t, 16, 30).status, ==, RTAS_PARAM_ERROR);
    spapr_assert_window(t, LIOBN_64, WINDOW_64, 16, 30);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/* PAPR: removing the last window, not the default, brings the default back */
static void test_default_restored(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, TCE_RW), ==, H_SUCCESS);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, 0);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_available(t, 1);
    spapr_dma_quit(t);
}

static void test_default_last(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_no_window(t, LIOBN_DEFAULT);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_available(t, 2);
    spapr_dma_quit(t);
}

/* B1: a dynamic window that has the default's number is not the default */
static void test_default_number_reused(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 31), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_assert_available(t, 1);
    spapr_dma_quit(t);
}

/* Even a dynamic window of the default's very geometry is not the default. */
static void test_default_lookalike(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 12, DEFAULT_SHIFT), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_default(t);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    spapr_assert_available(t, 2);
    spapr_dma_quit(t);
}

static void test_reset(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_assert_available(t, 1);

    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_assert_no_window(t, LIOBN_64);

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 34), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    assert_created(spapr_ddw_create(t, 24, 40), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_available(t, 1);

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/*
 * B7: the reset call keeps what other devices have mapped in the default
 * window, unless that was removed meanwhile.
 */
static void test_reset_keeps_default(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, TCE_RW), ==, H_SUCCESS);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, TCE_RW);
    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, TCE_RW);

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, 0);
    spapr_dma_quit(t);
}

/* B6: PAPR 2.13 limited-address mode; windows go to 4 GiB instead of 2^59 */
static void test_reset_limited(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwQuery normal = spapr_ddw_query(t, 6);
    SpaprDdwQuery limited;

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    limited = spapr_ddw_query(t, 6);
    g_assert_cmpmem(&limited, sizeof(limited), &normal, sizeof(normal));
    assert_created(spapr_ddw_create(t, 24, 40), LIOBN_64, WINDOW_LIMITED);
    spapr_assert_window(t, LIOBN_64, WINDOW_LIMITED, 24, 40);
    spapr_assert_default(t);
    spapr_assert_available(t, 0);

    /* once more, which drops that window and stays in the mode */
    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    spapr_assert_available(t, 1);
    spapr_assert_no_window(t, LIOBN_64);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 31), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    assert_created(spapr_ddw_create(t, 16, 32), LIOBN_64, WINDOW_LIMITED);
    spapr_dma_quit(t);
}

/* A reset with three arguments and the machine's end the mode. */
static void test_reset_limited_end(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_reset_mode(t, 0), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset_mode(t, 2), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(spapr_ddw_reset_mode(t, -1), ==, RTAS_PARAM_ERROR);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_LIMITED);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_OK);
    qtest_system_reset(t->qts);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    spapr_dma_quit(t);
}

/* Versions that such machines come from cannot receive a guest in that mode. */
static void test_reset_limited_off(gconstpointer options)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", (const char *)options);

    g_assert_cmpint(spapr_ddw_reset_mode(t, 1), ==, RTAS_PARAM_ERROR);
    spapr_assert_available(t, 1);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_dma_quit(t);
}

/* A machine reset gives the default window back, with no TCE in it. */
static void test_system_reset(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, TCE_RW), ==, H_SUCCESS);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    qtest_system_reset(t->qts);
    spapr_assert_default(t);
    spapr_assert_tce(t, LIOBN_DEFAULT, 0, 0);
    spapr_assert_no_window(t, LIOBN_64);

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT), ==, RTAS_OK);
    assert_created(spapr_ddw_create(t, 16, 34), LIOBN_DEFAULT,
                   WINDOW_DEFAULT);
    qtest_system_reset(t->qts);
    spapr_assert_default(t);
    spapr_assert_available(t, 1);
    spapr_dma_quit(t);
}

static void test_second_phb(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-device spapr-pci-host-bridge,index=1");

    t->buid = BUID_PHB0 + 1;
    spapr_assert_default(t);
    assert_created(spapr_ddw_create(t, 24, 38), LIOBN_64 + 0x100, WINDOW_64);
    spapr_assert_window(t, LIOBN_64 + 0x100, WINDOW_64, 24, 38);
    spapr_assert_available(t, 0);

    t->buid = BUID_PHB0;
    spapr_assert_available(t, 1);
    assert_created(spapr_ddw_create(t, 16, 30), LIOBN_64, WINDOW_64);
    g_assert_cmpint(spapr_ddw_reset(t), ==, RTAS_OK);
    spapr_assert_no_window(t, LIOBN_64);
    spapr_assert_window(t, LIOBN_64 + 0x100, WINDOW_64, 24, 38);

    t->buid = BUID_PHB0 + 1;
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_DEFAULT + 0x100), ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64 + 0x100), ==, RTAS_OK);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

/*
 * What the guest is told of all this in its device tree
 */

#define PHB_NODE "/pci@800000020000000"

/* The device tree, to be freed */
static void *device_tree(SpaprDmaTest *t)
{
    g_autofree char *path = NULL;
    char *dtb = NULL;
    gsize size;
    int fd = g_file_open_tmp("spapr-ddw-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    qtest_qmp_assert_success(t->qts, "{ 'execute': 'dumpdtb', 'arguments': "
                             "{ 'filename': %s } }", path);
    g_assert(g_file_get_contents(path, &dtb, &size, NULL));
    unlink(path);
    g_assert_cmpint(fdt_check_full(dtb, size), ==, 0);
    return dtb;
}

static void assert_cells(const void *fdt, const char *name,
                         const uint32_t *cells, int count)
{
    int size;
    const fdt32_t *found = fdt_getprop(fdt, fdt_path_offset(fdt, PHB_NODE),
                                       name, &size);

    g_assert_nonnull(found);
    g_assert_cmpint(size, ==, count * sizeof(*found));
    for (int i = 0; i < count; i++) {
        g_assert_cmphex(fdt32_to_cpu(found[i]), ==, cells[i]);
    }
}

static void test_device_tree(void)
{
    static const uint32_t window[] = { LIOBN_DEFAULT, 0, 0, 0, 1 << 30 };
    static const uint32_t applicable[] = { 0x2026, 0x2027, 0x2028 };
    static const uint32_t extensions[] = { 3, 0x2029, 1, 1 };
    static const uint32_t two[] = { 2 };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    g_autofree void *fdt = device_tree(t);

    assert_cells(fdt, "ibm,dma-window", window, ARRAY_SIZE(window));
    assert_cells(fdt, "ibm,#dma-address-cells", two, 1);
    assert_cells(fdt, "ibm,#dma-size-cells", two, 1);
    assert_cells(fdt, "ibm,ddw-applicable", applicable,
                 ARRAY_SIZE(applicable));
    assert_cells(fdt, "ibm,ddw-extensions", extensions,
                 ARRAY_SIZE(extensions));
    spapr_dma_quit(t);
}

static void test_device_tree_ddw_off(void)
{
    static const uint32_t window[] = {
        LIOBN_DEFAULT, 0, 0x40000000, 0, 0x20000000
    };
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.ddw=off "
        "-global spapr-pci-host-bridge.dma_win_addr=0x40000000 "
        "-global spapr-pci-host-bridge.dma_win_size=0x20000000");
    g_autofree void *fdt = device_tree(t);
    int phb = fdt_path_offset(fdt, PHB_NODE);

    assert_cells(fdt, "ibm,dma-window", window, ARRAY_SIZE(window));
    g_assert_null(fdt_getprop(fdt, phb, "ibm,ddw-applicable", NULL));
    g_assert_null(fdt_getprop(fdt, phb, "ibm,ddw-extensions", NULL));
    spapr_assert_window(t, LIOBN_DEFAULT, 0x40000000, 12, 29);
    spapr_dma_quit(t);
}

/* B9: the size of the default window has more than 32 bits */
static void test_default_4g(void)
{
    static const uint32_t window[] = { LIOBN_DEFAULT, 0, 0, 1, 0 };
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.dma_win_size=0x100000000");
    g_autofree void *fdt = device_tree(t);

    assert_cells(fdt, "ibm,dma-window", window, ARRAY_SIZE(window));
    spapr_assert_window(t, LIOBN_DEFAULT, WINDOW_DEFAULT, 12, 32);
    spapr_dma_quit(t);
}

static void assert_phb_refused(SpaprDmaTest *t, uint64_t addr, uint64_t size)
{
    g_autofree char *wanted = g_strdup_printf(
        "default DMA window at 0x%" PRIx64 " of 0x%" PRIx64 " bytes is not in"
        " 4 KiB pages below 4 GiB: change dma_win_addr or dma_win_size, to 0"
        " and 1G for example", addr, size);
    QDict *answer = qtest_qmp(t->qts, "{ 'execute': 'device_add', "
                              "'arguments': { "
                              "'driver': 'spapr-pci-host-bridge', "
                              "'index': 1, 'dma_win_addr': %" PRIu64 ", "
                              "'dma_win_size': %" PRIu64 " } }", addr, size);
    QDict *error = qdict_get_qdict(answer, "error");

    g_assert_nonnull(error);
    g_assert_cmpstr(qdict_get_try_str(error, "desc"), ==, wanted);
    qobject_unref(answer);
}

/* B9: PAPR wants the default window below 4 GiB */
static void test_default_too_large(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    assert_phb_refused(t, 0, 0x100001000);
    assert_phb_refused(t, 0, 0x200000000);
    assert_phb_refused(t, 0x1000, 0x100000000);
    assert_phb_refused(t, 0x100000000, 0x40000000);
    assert_phb_refused(t, 0, 0);
    assert_phb_refused(t, 0x800, 0x40000000);
    spapr_assert_default(t);
    spapr_dma_quit(t);
}

static SpaprDmaTest *boot_pgsz(uint64_t pgsz)
{
    return spapr_dma_boot("-global spapr-pci-host-bridge.pgsz=0x%" PRIx64,
                          pgsz);
}

static void test_pgsz_all(void)
{
    uint64_t pgsz = 0;
    uint32_t bits = 0;
    SpaprDmaTest *t;
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(page_sizes); i++) {
        pgsz |= 1ULL << page_sizes[i].shift;
        bits |= page_sizes[i].bit;
    }
    t = boot_pgsz(pgsz);
    g_assert_cmphex(spapr_ddw_query(t, 5).page_sizes, ==, bits);
    g_assert_cmphex(spapr_ddw_query(t, 6).page_sizes, ==, bits);
    for (i = 0; i < ARRAY_SIZE(page_sizes); i++) {
        uint32_t shift = page_sizes[i].shift;

        assert_created(spapr_ddw_create(t, shift, shift + 6), LIOBN_64,
                       WINDOW_64);
        spapr_assert_window(t, LIOBN_64, WINDOW_64, shift, shift + 6);
        g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    }
    spapr_dma_quit(t);
}

static void test_pgsz_each(void)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(page_sizes); i++) {
        uint32_t shift = page_sizes[i].shift;
        SpaprDmaTest *t = boot_pgsz(1ULL << shift);

        g_assert_cmphex(spapr_ddw_query(t, 6).page_sizes, ==,
                        page_sizes[i].bit);
        for (unsigned int j = 0; j < ARRAY_SIZE(page_sizes); j++) {
            if (j != i) {
                assert_refused(t, page_sizes[j].shift, 40);
            }
        }
        assert_created(spapr_ddw_create(t, shift, 40), LIOBN_64, WINDOW_64);
        spapr_assert_window(t, LIOBN_64, WINDOW_64, shift, 40);
        spapr_assert_default(t);
        spapr_dma_quit(t);
    }
}

/* D19: a size that a query cannot name is none, and limits nothing */
static void test_pgsz_unnamed(void)
{
    SpaprDmaTest *t = boot_pgsz(0x40011000);

    g_assert_cmphex(spapr_ddw_query(t, 6).page_sizes, ==, 3);
    g_assert_cmphex(spapr_ddw_query(t, 6).largest, ==, 1ULL << 37);
    assert_refused(t, 30, 40);
    assert_created(spapr_ddw_create(t, 16, 40), LIOBN_64, WINDOW_64);
    spapr_dma_quit(t);

    t = boot_pgsz(UINT64_MAX);
    g_assert_cmphex(spapr_ddw_query(t, 6).page_sizes, ==, 0x1ff);
    g_assert_cmphex(spapr_ddw_query(t, 6).largest, ==, 1ULL << 28);
    assert_created(spapr_ddw_create(t, 34, 62), LIOBN_64, WINDOW_64);
    spapr_dma_quit(t);
}

/*
 * What a user asks for and cannot have
 */

static void assert_no_start(const char *options, const char *reason)
{
    g_autofree char *command = g_strdup_printf(
        "timeout 20 %s -machine pseries,x-vof=on -accel qtest -nodefaults"
        " -display none %s", getenv("QTEST_QEMU_BINARY"), options);
    g_autofree char *errors = NULL;
    int status;

    g_assert(g_spawn_command_line_sync(command, NULL, &errors, &status, NULL));
    g_assert(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(errors, reason));
}

static void test_bad_properties(void)
{
    static const char *const values[] = {
        "dma_win_size=0", "dma_win_size=0x1800", "dma_win_addr=0x800",
        "dma_win_addr=0x100001000,dma_win_size=0x1000",
        "dma_win_addr=0x80000000,dma_win_size=0x80001000",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        g_autofree char *options = g_strdup_printf(
            "-device spapr-pci-host-bridge,index=1,%s", values[i]);

        assert_no_start(options, "is not in 4 KiB pages below 4 GiB");
    }
}

/* D21: what would leave the guest without any other window, said with a cure */
static void test_useless_properties(void)
{
    static const struct {
        const char *value, *reason;
    } bad[] = {
        { "pgsz=0", "add such as 0x1000, 0x10000," },
        { "pgsz=0x800", "or set ddw=off" },
        { "pgsz=0x40000000", "pgsz=0x40000000 has no page size" },
        { "dma64_win_addr=12345", "use 0x800000000000000, for example" },
        { "pgsz=0x10000,dma64_win_addr=0x800000000001000",
          "use 0x800000000000000, for example" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *options = g_strdup_printf(
            "-device spapr-pci-host-bridge,index=1,%s", bad[i].value);
        g_autofree char *off = g_strdup_printf(
            "-device spapr-pci-host-bridge,index=1,ddw=off,%s", bad[i].value);

        assert_no_start(options, bad[i].reason);
        spapr_dma_quit(spapr_dma_boot("%s", off));
    }
}

/* A VIO device has the number that a PHB would give to one of its windows */
static void test_liobn_taken(void)
{
    assert_no_start("-device spapr-vscsi,reg=0x80000001",
                    "LIOBN 0x80000001 is in use already");
    assert_no_start("-device spapr-vscsi,reg=0x80000101"
                    " -device spapr-pci-host-bridge,index=1",
                    "LIOBN 0x80000101 is in use already");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);

    qtest_add_func("spapr-ddw/query/5", test_query_5);
    qtest_add_func("spapr-ddw/query/6", test_query_6);
    qtest_add_func("spapr-ddw/query/counts", test_query_counts);
    qtest_add_func("spapr-ddw/bad/counts", test_wrong_counts);
    qtest_add_func("spapr-ddw/bad/phb", test_unknown_phb);
    qtest_add_func("spapr-ddw/bad/ddw-off", test_ddw_off);
    qtest_add_func("spapr-ddw/create/plain", test_create);
    qtest_add_func("spapr-ddw/create/again", test_create_again);
    qtest_add_func("spapr-ddw/create/page-shift", test_page_shift_bad);
    qtest_add_func("spapr-ddw/create/A6-page-shift-76", test_page_shift_76);
    qtest_add_func("spapr-ddw/create/window-shift", test_window_shift_bad);
    qtest_add_func("spapr-ddw/create/size-limits", test_window_size_limits);
    qtest_add_func("spapr-ddw/create/B4-largest-block", test_largest_block);
    qtest_add_func("spapr-ddw/create/B10-msi-reachable", test_msi_reachable);
    qtest_add_func("spapr-ddw/create/past-end", test_window_past_end);
    qtest_add_func("spapr-ddw/create/A1-12-44-twice",
                   test_create_12_44_twice);
    qtest_add_func("spapr-ddw/create/A7-huge", test_create_huge);
    qtest_add_func("spapr-ddw/create/A5-A11-default-recreated",
                   test_default_recreated);
    qtest_add_func("spapr-ddw/create/without-default",
                   test_create_without_default);
    qtest_add_func("spapr-ddw/create/B4-occupancy", test_occupancy);
    qtest_add_func("spapr-ddw/create/B4-odd-places", test_odd_places);
    qtest_add_func("spapr-ddw/create/B4-one-place", test_one_place);
    qtest_add_func("spapr-ddw/create/small-pages", test_small_pages);
    qtest_add_func("spapr-ddw/create/B5-third-window", test_third_window);
    qtest_add_func("spapr-ddw/remove/A4-vio", test_remove_vio);
    qtest_add_func("spapr-ddw/remove/unknown", test_remove_unknown);
    qtest_add_func("spapr-ddw/remove/default-restored",
                   test_default_restored);
    qtest_add_func("spapr-ddw/remove/default-last", test_default_last);
    qtest_add_func("spapr-ddw/remove/B1-default-number-reused",
                   test_default_number_reused);
    qtest_add_func("spapr-ddw/remove/B1-default-lookalike",
                   test_default_lookalike);
    qtest_add_func("spapr-ddw/reset/rtas", test_reset);
    qtest_add_func("spapr-ddw/reset/B7-keeps-default",
                   test_reset_keeps_default);
    qtest_add_func("spapr-ddw/reset/B6-limited", test_reset_limited);
    qtest_add_func("spapr-ddw/reset/B6-limited-end", test_reset_limited_end);
    qtest_add_data_func("spapr-ddw/reset/limited-off",
                        "-global spapr-pci-host-bridge.ddw-limited=off",
                        test_reset_limited_off);
    qtest_add_data_func("spapr-ddw/reset/limited-older-machine",
                        "-machine pseries-9.2", test_reset_limited_off);
    qtest_add_func("spapr-ddw/reset/system", test_system_reset);
    qtest_add_func("spapr-ddw/phb1", test_second_phb);
    qtest_add_func("spapr-ddw/device-tree/default", test_device_tree);
    qtest_add_func("spapr-ddw/device-tree/ddw-off", test_device_tree_ddw_off);
    qtest_add_func("spapr-ddw/device-tree/B9-default-4g", test_default_4g);
    qtest_add_func("spapr-ddw/device-tree/B9-default-too-large",
                   test_default_too_large);
    qtest_add_func("spapr-ddw/pgsz/all", test_pgsz_all);
    qtest_add_func("spapr-ddw/pgsz/each", test_pgsz_each);
    qtest_add_func("spapr-ddw/pgsz/D19-unnamed", test_pgsz_unnamed);
    qtest_add_func("spapr-ddw/bad/D21-useless", test_useless_properties);
    qtest_add_func("spapr-ddw/start/bad-properties", test_bad_properties);
    qtest_add_func("spapr-ddw/start/liobn-taken", test_liobn_taken);

    return g_test_run();
}
