/*
 * sPAPR DMA windows: the TCE hypercalls and the data path
 *
 * What H_PUT_TCE, H_GET_TCE, H_PUT_TCE_INDIRECT and H_STUFF_TCE answer and
 * store.  A refused call changes nothing.  A random test compares a window
 * with an array.  The edu device shows what DMA makes of the TCEs.
 *
 * The random test prints its seed as GLib does ("random seed: R02S...") and
 * takes it back as --seed=R02S...
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "libqos/pci.h"
#include "libqos/pci-spapr.h"
#include "spapr-dma-common.h"

#define LIST_MAX        512
#define SHIFT           16              /* page size of the window under test */
#define PAGE            (1ULL << SHIFT)
#define WINDOW_SHIFT    30
#define ENTRIES         (1ULL << (WINDOW_SHIFT - SHIFT))
#define WINDOW_END      (WINDOW_64 + (1ULL << WINDOW_SHIFT))

/* A 64-bit window with 64K pages, empty */
static SpaprDmaTest *boot_window(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_create(t, SHIFT, WINDOW_SHIFT).status, ==,
                    RTAS_OK);
    return t;
}

static uint64_t ioba(uint64_t index)
{
    return WINDOW_64 + index * PAGE;
}

/* [@first, @first + @count) of the window holds @tce */
static void assert_all(SpaprDmaTest *t, uint64_t first, uint64_t count,
                       uint64_t tce)
{
    for (uint64_t i = first; i < first + count; i++) {
        spapr_assert_tce(t, LIOBN_64, ioba(i), tce);
    }
}

#define assert_put(t, index, tce, status) \
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, ioba(index), tce), ==, status)
#define assert_indirect(t, index, tces, count, status) \
    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, ioba(index), tces, \
                                           count), ==, status)
#define assert_stuff(t, index, tce, count, status) \
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, ioba(index), tce, count), \
                    ==, status)

static void test_put_get(void)
{
    static const uint64_t perms[] = { TCE_RO, TCE_WO, TCE_RW };
    SpaprDmaTest *t = boot_window();
    unsigned int i;

    assert_all(t, 0, 4, 0);
    for (i = 0; i < ARRAY_SIZE(perms); i++) {
        assert_put(t, i, i * PAGE | perms[i], H_SUCCESS);
    }
    for (i = 0; i < ARRAY_SIZE(perms); i++) {
        spapr_assert_tce(t, LIOBN_64, ioba(i), i * PAGE | perms[i]);
    }
    assert_put(t, ENTRIES - 1, TEST_RAM - PAGE + TCE_RW, H_SUCCESS);
    spapr_assert_tce(t, LIOBN_64, ioba(ENTRIES - 1),
                     TEST_RAM - PAGE + TCE_RW);
    assert_put(t, 1, 0, H_SUCCESS);
    assert_all(t, 1, 1, 0);
    assert_all(t, 3, 2, 0);
    spapr_assert_tce(t, LIOBN_64, ioba(2), 2 * PAGE | TCE_RW);
    spapr_dma_quit(t);
}

/* Words are stored raw: low bits survive, and all of one without permission. */
static void test_raw_words(void)
{
    static const uint64_t words[] = {
        PAGE | 0xffc | TCE_RW, PAGE | 0xf000 | TCE_RO, 4,
        0xdeadbeefcafe0000ULL, ~(uint64_t)TCE_RW, 1ULL << 63,
    };
    SpaprDmaTest *t = boot_window();

    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        assert_put(t, i, words[i], H_SUCCESS);
    }
    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        spapr_assert_tce(t, LIOBN_64, ioba(i), words[i]);
    }
    assert_indirect(t, 100, words, ARRAY_SIZE(words), H_SUCCESS);
    for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
        spapr_assert_tce(t, LIOBN_64, ioba(100 + i), words[i]);
    }
    assert_stuff(t, 200, ~(uint64_t)TCE_RW, 3, H_SUCCESS);
    assert_all(t, 200, 3, ~(uint64_t)TCE_RW);
    assert_all(t, 203, 1, 0);
    spapr_dma_quit(t);
}

/* All four calls with a window number and a place that do not fit */
static void assert_nowhere(SpaprDmaTest *t, uint64_t liobn, uint64_t addr)
{
    uint64_t word = 0;

    g_assert_cmpint(spapr_get_tce(t, liobn, addr, &word), ==, H_PARAMETER);
    g_assert_cmpint(spapr_put_tce(t, liobn, addr, PAGE | TCE_RW), ==,
                    H_PARAMETER);
    g_assert_cmpint(spapr_put_tce(t, liobn, addr, 0), ==, H_PARAMETER);
    g_assert_cmpint(spapr_put_tce_indirect(t, liobn, addr, &word, 1), ==,
                    H_PARAMETER);
    g_assert_cmpint(spapr_stuff_tce(t, liobn, addr, 0, 1), ==, H_PARAMETER);
}

static void test_bad_liobn(void)
{
    SpaprDmaTest *t = boot_window();

    assert_put(t, 0, PAGE | TCE_RW, H_SUCCESS);
    assert_nowhere(t, LIOBN_64 + 1, WINDOW_64);
    assert_nowhere(t, 0, 0);
    assert_nowhere(t, 0xffffffff, WINDOW_64);
    assert_nowhere(t, -(uint64_t)1, WINDOW_64);
    assert_nowhere(t, LIOBN_64 | 1ULL << 32, WINDOW_64);
    assert_nowhere(t, LIOBN_64 | 1ULL << 63, WINDOW_64);
    assert_nowhere(t, 0xffffffff00000000ULL | LIOBN_64, WINDOW_64);
    assert_all(t, 0, 1, PAGE | TCE_RW);

    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);
    assert_nowhere(t, LIOBN_64, WINDOW_64);
    spapr_dma_quit(t);
}

static void test_out_of_range(void)
{
    SpaprDmaTest *t = boot_window();

    assert_nowhere(t, LIOBN_64, 0);
    assert_nowhere(t, LIOBN_64, WINDOW_64 - PAGE);
    assert_nowhere(t, LIOBN_64, WINDOW_END);
    assert_nowhere(t, LIOBN_64, WINDOW_END + (1ULL << 40));
    assert_nowhere(t, LIOBN_64, -PAGE);
    assert_nowhere(t, LIOBN_DEFAULT, 1ULL << DEFAULT_SHIFT);
    assert_nowhere(t, LIOBN_DEFAULT, WINDOW_64);
    /* the index modulo 2^32 would be in the window */
    assert_nowhere(t, LIOBN_64, WINDOW_64 + (1ULL << (32 + SHIFT)));
    spapr_dma_quit(t);
}

static void test_unaligned_ioba(void)
{
    static const uint64_t offsets[] = { 1, 8, 4096, PAGE / 2, PAGE - 1 };
    SpaprDmaTest *t = boot_window();

    assert_put(t, 5, PAGE | TCE_RW, H_SUCCESS);
    for (unsigned int i = 0; i < ARRAY_SIZE(offsets); i++) {
        assert_nowhere(t, LIOBN_64, ioba(5) + offsets[i]);
        assert_nowhere(t, LIOBN_DEFAULT, 1 + (offsets[i] & 0xffe));
    }
    assert_all(t, 4, 1, 0);
    assert_all(t, 5, 1, PAGE | TCE_RW);
    assert_all(t, 6, 1, 0);
    spapr_dma_quit(t);
}

/* B2: permission for something that is not guest RAM */
static void test_target_not_ram(void)
{
    static const uint64_t bad[] = {
        TEST_RAM, TEST_RAM + PAGE, 1ULL << 45, 1ULL << 59, 1ULL << 63, -PAGE,
    };
    SpaprDmaTest *t = boot_window();
    uint64_t list[3];

    assert_put(t, 0, PAGE | TCE_RW, H_SUCCESS);
    for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_put(t, 0, bad[i] | TCE_RW, H_PARAMETER);
        assert_put(t, 0, bad[i] | TCE_RO, H_PARAMETER);
        assert_put(t, 0, bad[i] | TCE_WO, H_PARAMETER);
        list[0] = list[1] = 2 * PAGE | TCE_RW;
        list[2] = bad[i] | TCE_RO;
        assert_indirect(t, 0, list, 3, H_PARAMETER);
        assert_all(t, 0, 1, PAGE | TCE_RW);
        assert_all(t, 1, 2, 0);
        assert_put(t, 10 + i, bad[i], H_SUCCESS);
    }
    spapr_dma_quit(t);
}

/* All of a page has to be RAM, not only its first byte. */
static void test_target_partly_ram(void)
{
    SpaprDmaTest *t = spapr_dma_boot(
        "-global spapr-pci-host-bridge.pgsz=0x418000000");

    g_assert_cmpint(spapr_ddw_create(t, 34, 40).status, ==, RTAS_OK);
    assert_nowhere(t, LIOBN_64, WINDOW_64 + 1);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, TCE_RW), ==,
                    H_PARAMETER);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, 0xff0), ==,
                    H_SUCCESS);
    g_assert_cmpint(spapr_ddw_remove(t, LIOBN_64), ==, RTAS_OK);

    g_assert_cmpint(spapr_ddw_create(t, 27, 40).status, ==, RTAS_OK);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, TCE_RW), ==,
                    H_SUCCESS);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64,
                                  128 * MiB | TCE_RW), ==, H_SUCCESS);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64, TEST_RAM | TCE_RW),
                    ==, H_PARAMETER);
    spapr_dma_quit(t);
}

static void fill(uint64_t *tces, uint64_t count, uint64_t gpa)
{
    for (uint64_t i = 0; i < count; i++) {
        tces[i] = (gpa + i * PAGE) % TEST_RAM | TCE_RW;
    }
}

static void test_indirect(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t tces[LIST_MAX];

    fill(tces, LIST_MAX, 2 * PAGE);
    tces[7] = 0;
    tces[8] = 0xabc000;
    assert_indirect(t, 0, tces, LIST_MAX, H_SUCCESS);
    for (int i = 0; i < LIST_MAX; i++) {
        spapr_assert_tce(t, LIOBN_64, ioba(i), tces[i]);
    }
    assert_all(t, LIST_MAX, 1, 0);
    assert_indirect(t, ENTRIES - 1, tces, 1, H_SUCCESS);
    assert_all(t, ENTRIES - 1, 1, tces[0]);
    assert_all(t, ENTRIES - 2, 1, 0);
    assert_indirect(t, ENTRIES - LIST_MAX, tces, LIST_MAX, H_SUCCESS);
    assert_all(t, ENTRIES - 1, 1, tces[LIST_MAX - 1]);
    spapr_dma_quit(t);
}

static void test_indirect_bad_list(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t list = t->list;
    uint64_t tces[LIST_MAX];

    fill(tces, LIST_MAX, 0);
    assert_indirect(t, 0, tces, LIST_MAX + 1, H_PARAMETER);
    assert_indirect(t, 0, tces, 1ULL << 32, H_PARAMETER);
    assert_indirect(t, 0, tces, -(uint64_t)1, H_PARAMETER);

#define assert_list(list, count) \
    g_assert_cmpint(spapr_put_tce_list(t, LIOBN_64, WINDOW_64, list, count), \
                    ==, H_PARAMETER)
    assert_list(list + 1, 1);
    assert_list(list + 8, 1);
    assert_list(list + 2048, 2);
    assert_list(TEST_RAM, 1);               /* nothing there */
    assert_list(1ULL << 45, 1);             /* MMIO of the PHB */
    assert_list(1ULL << 60, 1);
    assert_list(-(uint64_t)4096, 1);
#undef assert_list

    assert_all(t, 0, 4, 0);
    spapr_dma_quit(t);
}

/* B3: nothing is stored if the last entry does not fit, or is bad */
static void test_indirect_all_or_nothing(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t tces[LIST_MAX];

    fill(tces, LIST_MAX, 0);
    assert_indirect(t, ENTRIES - 1, tces, 2, H_PARAMETER);
    assert_indirect(t, ENTRIES - LIST_MAX + 1, tces, LIST_MAX, H_PARAMETER);
    assert_all(t, ENTRIES - LIST_MAX, LIST_MAX, 0);

    tces[LIST_MAX - 1] = TEST_RAM | TCE_RW;
    assert_indirect(t, 0, tces, LIST_MAX, H_PARAMETER);
    assert_all(t, 0, LIST_MAX, 0);
    assert_indirect(t, 0, tces, LIST_MAX - 1, H_SUCCESS);
    assert_all(t, 0, 1, tces[0]);
    spapr_dma_quit(t);
}

/* B3: as KVM has it; the place still has to be right */
static void test_count_zero(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t tce = PAGE | TCE_RW;

    assert_put(t, 0, tce, H_SUCCESS);
    assert_indirect(t, 0, &tce, 0, H_SUCCESS);
    assert_stuff(t, 0, 0, 0, H_SUCCESS);
    assert_all(t, 0, 1, tce);
    assert_all(t, 1, 1, 0);
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64 + 1, WINDOW_64, 0, 0), ==,
                    H_PARAMETER);
    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64 + 1, WINDOW_64, &tce,
                                           0), ==, H_PARAMETER);
    spapr_dma_quit(t);
}

static void test_stuff(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t tces[LIST_MAX];

    fill(tces, LIST_MAX, 0);
    assert_indirect(t, 0, tces, LIST_MAX, H_SUCCESS);
    assert_stuff(t, 10, 0, 20, H_SUCCESS);
    assert_all(t, 9, 1, tces[9]);
    assert_all(t, 10, 20, 0);
    assert_all(t, 30, 1, tces[30]);

    /* poison */
    assert_stuff(t, 5, 0x1000, 10, H_SUCCESS);
    assert_all(t, 4, 1, tces[4]);
    assert_all(t, 5, 10, 0x1000);
    assert_all(t, 15, 15, 0);

    /* all at once */
    assert_stuff(t, 0, 0, ENTRIES, H_SUCCESS);
    assert_all(t, 0, LIST_MAX, 0);
    spapr_dma_quit(t);
}

/*
 * More than a list could hold is fine, as long as the window holds it, but
 * then the entries read as 0: clearing a window must not fill its table.
 */
static void test_stuff_many(void)
{
    SpaprDmaTest *t = boot_window();

    assert_put(t, 0, PAGE | TCE_RW, H_SUCCESS);
    assert_put(t, 600, PAGE | TCE_RW, H_SUCCESS);
    assert_put(t, 1001, PAGE | TCE_RW, H_SUCCESS);
    assert_stuff(t, 1, 0x7000, LIST_MAX, H_SUCCESS);
    assert_all(t, 1, LIST_MAX, 0x7000);
    assert_stuff(t, 1, 0x7000, 1000, H_SUCCESS);
    assert_all(t, 0, 1, PAGE | TCE_RW);
    assert_all(t, 1, 1000, 0);
    assert_all(t, 1001, 1, PAGE | TCE_RW);
    spapr_dma_quit(t);
}

/*
 * A8: whatever a guest names at once costs what is populated, which is next
 * to nothing here; entry by entry these would be 2^34.
 */
static void test_stuff_full_window(void)
{
    const uint64_t entries = 1ULL << 30;
    const uint64_t spots[] = { 0, 511, entries / 2, entries - 1 };
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    unsigned int i;

    g_assert_cmpint(spapr_ddw_create(t, SHIFT, SHIFT + 30).status, ==,
                    RTAS_OK);
    for (int round = 0; round < 16; round++) {
        for (i = 0; i < ARRAY_SIZE(spots); i++) {
            assert_put(t, spots[i], PAGE | TCE_RW, H_SUCCESS);
        }
        assert_stuff(t, 0, 0, entries, H_SUCCESS);
        for (i = 0; i < ARRAY_SIZE(spots); i++) {
            assert_all(t, spots[i], 1, 0);
        }
    }
    assert_stuff(t, 1, 0, entries, H_PARAMETER);
    spapr_dma_quit(t);
}

/* B12: entries that are 2^32 apart are not the same */
static void test_index_beyond_32_bits(void)
{
    const uint64_t far = 1ULL << 32;
    SpaprDmaTest *t = spapr_dma_boot("%s", "");

    g_assert_cmpint(spapr_ddw_create(t, SHIFT, SHIFT + 34).status, ==,
                    RTAS_OK);
    assert_put(t, 5, PAGE | TCE_RO, H_SUCCESS);
    assert_put(t, far + 5, 2 * PAGE | TCE_RW, H_SUCCESS);
    assert_put(t, 2 * far + 5, 3 * PAGE | TCE_WO, H_SUCCESS);
    assert_all(t, 5, 1, PAGE | TCE_RO);
    assert_all(t, far + 5, 1, 2 * PAGE | TCE_RW);
    assert_stuff(t, far, 0, far, H_SUCCESS);
    assert_all(t, 5, 1, PAGE | TCE_RO);
    assert_all(t, far + 5, 1, 0);
    assert_all(t, 2 * far + 5, 1, 3 * PAGE | TCE_WO);
    spapr_dma_quit(t);
}

/* So much that it is done in steps, between which others have their turn */
static void test_stuff_steps(void)
{
    const uint64_t page = 4 * KiB, first = 3, count = 100000;
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    SpaprDdwWindow w = spapr_ddw_create(t, 12, 29);
    uint64_t tces[512];

    g_assert_cmpint(w.status, ==, RTAS_OK);
    for (unsigned i = 0; i < 512; i++) {
        tces[i] = i * page | TCE_RW;
    }
    for (uint64_t i = 0; i < 1ULL << 17; i += 512) {
        g_assert_cmpint(spapr_put_tce_indirect(t, w.liobn, w.addr + i * page,
                                               tces, 512), ==, H_SUCCESS);
    }
    g_assert_cmpint(spapr_stuff_tce(t, w.liobn, w.addr + first * page, 0,
                                    count), ==, H_SUCCESS);
    /* Every entry around both ends, and some of the others */
    for (uint64_t i = 0; i < 1ULL << 17;
         i += i < 8 || i > count - 97 ? 1 : 97) {
        bool kept = i < first || i >= first + count;

        spapr_assert_tce(t, w.liobn, w.addr + i * page,
                         kept ? tces[i % 512] : 0);
    }
    spapr_dma_quit(t);
}

/* D18: LoPAR lets a guest map this way, and old FreeBSD does */
static void test_stuff_mapped(void)
{
    SpaprDmaTest *t = boot_window();

    assert_put(t, 0, PAGE | TCE_RW, H_SUCCESS);
    assert_stuff(t, 1, 2 * PAGE | TCE_RO, 1, H_SUCCESS);
    assert_stuff(t, 2, 3 * PAGE | TCE_RW, LIST_MAX, H_SUCCESS);
    assert_all(t, 0, 1, PAGE | TCE_RW);
    assert_all(t, 1, 1, 2 * PAGE | TCE_RO);
    assert_all(t, 2, LIST_MAX, 3 * PAGE | TCE_RW);
    assert_all(t, 2 + LIST_MAX, 1, 0);

    /* Nothing at all, too many, not RAM, beyond the window */
    assert_stuff(t, 1, TCE_RW, 0, H_SUCCESS);
    assert_stuff(t, 1, TCE_RW, LIST_MAX + 1, H_PARAMETER);
    assert_stuff(t, 1, 1ULL << 50 | TCE_WO, 2, H_PARAMETER);
    assert_stuff(t, ENTRIES - 1, TCE_RW, 2, H_PARAMETER);
    assert_all(t, 1, 1, 2 * PAGE | TCE_RO);
    assert_all(t, 2, LIST_MAX, 3 * PAGE | TCE_RW);
    assert_all(t, ENTRIES - 1, 1, 0);
    spapr_dma_quit(t);
}

static void test_stuff_bad(void)
{
    SpaprDmaTest *t = boot_window();
    uint64_t tce = PAGE | TCE_RW;

    assert_put(t, 0, tce, H_SUCCESS);
    assert_put(t, ENTRIES - 1, tce, H_SUCCESS);
    /* B3: past the end, by one and by so much that it wraps */
    assert_stuff(t, ENTRIES - 1, 0, 2, H_PARAMETER);
    assert_stuff(t, 0, 0, ENTRIES + 1, H_PARAMETER);
    assert_stuff(t, 1, 0, ENTRIES, H_PARAMETER);
    assert_stuff(t, 1, 0, -(uint64_t)1, H_PARAMETER);
    assert_stuff(t, 1, 0, 1ULL << 32, H_PARAMETER);
    assert_stuff(t, 1, 0, 1ULL << 48, H_PARAMETER);
    assert_stuff(t, 1, 0, 1ULL << 63, H_PARAMETER);
    assert_all(t, 0, 1, tce);
    assert_all(t, ENTRIES - 1, 1, tce);
    spapr_dma_quit(t);
}

/* VIO devices and the default window are windows like others, traced or not */
static void test_other_windows(void)
{
    SpaprDmaTest *t = spapr_dma_boot("-trace 'spapr_iommu_*'"
                                     " -device spapr-vscsi,reg=0x71000003");
    static const uint32_t liobns[] = { LIOBN_DEFAULT, 0x71000003 };

    for (unsigned int i = 0; i < ARRAY_SIZE(liobns); i++) {
        uint64_t tces[] = { 0x1000 | TCE_RW, 0x5000 | TCE_RO, 0, 0x77000 };
        uint32_t liobn = liobns[i];

        g_assert_cmpint(spapr_put_tce_indirect(t, liobn, 0x3000, tces,
                                               ARRAY_SIZE(tces)), ==,
                        H_SUCCESS);
        for (unsigned int j = 0; j < ARRAY_SIZE(tces); j++) {
            spapr_assert_tce(t, liobn, 0x3000 + j * 0x1000, tces[j]);
        }
        g_assert_cmpint(spapr_put_tce(t, liobn, 0, TEST_RAM | TCE_RO), ==,
                        H_PARAMETER);
        g_assert_cmpint(spapr_stuff_tce(t, liobn, 0x3000, 0, 2), ==,
                        H_SUCCESS);
        spapr_assert_tce(t, liobn, 0x3000, 0);
        spapr_assert_tce(t, liobn, 0x6000, 0x77000);
    }
    spapr_dma_quit(t);
}

/* What was cleared counts until QEMU's RCU thread has freed it */
static void put_when_there_is_room(SpaprDmaTest *t, uint32_t liobn,
                                   uint64_t ioba, uint64_t tce)
{
    int64_t ret;

    while ((ret = spapr_put_tce(t, liobn, ioba, tce)) ==
           H_NOT_ENOUGH_RESOURCES) {
        g_usleep(1000);
    }
    g_assert_cmpint(ret, ==, H_SUCCESS);
}

/*
 * A7, D11: one TCE in each stretch of 2 MiB of a huge window makes QEMU hold 4
 * KiB for it.  After 64 MiB and a 32nd of the memory that is plugged, whatever
 * could be, there is an end for all windows, and what is there can be cleared
 * and stored anew.
 */
static void test_memory_bound(void)
{
    const uint64_t stretch = 512 * PAGE, bound = 64 * MiB + TEST_RAM / 32;
    SpaprDmaTest *t = spapr_dma_boot("%s", "-m slots=1,maxmem=64G");
    const uint64_t words[] = { 0, TCE_RW };
    uint64_t n = 0, full;

    g_assert_cmpint(spapr_ddw_create(t, 12, 45).status, ==, RTAS_OK);
    while (!spapr_put_tce(t, LIOBN_64, WINDOW_64 + n * stretch, TCE_RW)) {
        n++;
    }
    full = WINDOW_64 + n * stretch;
    g_assert_cmpuint(n, >, bound / (4 * KiB) * 95 / 100);
    g_assert_cmpuint(n, <=, bound / (4 * KiB));
    g_assert_cmpint(spapr_put_tce(t, LIOBN_64, full, TCE_RW), ==,
                    H_NOT_ENOUGH_RESOURCES);
    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, full, words, 2), ==,
                    H_NOT_ENOUGH_RESOURCES);
    spapr_assert_tce(t, LIOBN_64, full + PAGE, 0);
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, full, 0x5000, 512), ==,
                    H_SUCCESS);
    spapr_assert_tce(t, LIOBN_64, full, 0);
    spapr_assert_tce(t, LIOBN_64, full - stretch, TCE_RW);
    g_assert_cmpint(spapr_put_tce(t, LIOBN_DEFAULT, 0, TCE_RW), ==,
                    H_NOT_ENOUGH_RESOURCES);

    /* What takes a page back works, though its other bits have no room */
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, full - stretch, 0x5000, 512),
                    ==, H_SUCCESS);
    spapr_assert_tce(t, LIOBN_64, full - stretch, 0);

    g_assert_cmpint(spapr_put_tce_indirect(t, LIOBN_64, WINDOW_64, words, 1),
                    ==, H_SUCCESS);
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, WINDOW_64, 0, n * 512), ==,
                    H_SUCCESS);
    put_when_there_is_room(t, LIOBN_64, full, TCE_RW);
    spapr_assert_tce(t, LIOBN_64, full, TCE_RW);
    put_when_there_is_room(t, LIOBN_DEFAULT, 0, TCE_RW);
    spapr_dma_quit(t);
}

/* A long H_STUFF_TCE lets others have QEMU's lock between its steps */
static void test_stuff_lets_others(void)
{
    SpaprDmaTest *t = spapr_dma_boot("%s", "");
    g_autofree char *none = NULL, *locks = NULL;

    g_assert_cmpint(spapr_ddw_create(t, 12, 40).status, ==, RTAS_OK);
    g_free(qtest_hmp(t->qts, "sync-profile on"));
    for (uint64_t i = 0; i < 1000; i++) {
        g_assert_cmpint(spapr_put_tce(t, LIOBN_64, WINDOW_64 + i * 2 * MiB,
                                      TCE_RW), ==, H_SUCCESS);
    }
    none = qtest_hmp(t->qts, "info sync-profile -n 1000");
    g_assert_null(strstr(none, "spapr_tce_hcall.c"));
    g_assert_cmpint(spapr_stuff_tce(t, LIOBN_64, WINDOW_64, 0, 1000 * 512), ==,
                    H_SUCCESS);
    locks = qtest_hmp(t->qts, "info sync-profile -n 1000");
    g_assert_nonnull(strstr(locks, "spapr_tce_hcall.c"));
    spapr_dma_quit(t);
}

/*
 * The "hcall" verb: bad input gets an error, and the next line is served.
 * libqtest takes no error for an answer, so this one talks to QEMU itself.
 */

static void ask(int in, FILE *out, const char *line, const char *reply)
{
    char buf[200];

    g_assert_cmpint(write(in, line, strlen(line)), ==, strlen(line));
    g_assert_nonnull(fgets(buf, sizeof(buf), out));
    g_assert_cmpstr(buf, ==, reply);
}

static void test_verb(void)
{
    const char *const argv[] = {
        getenv("QTEST_QEMU_BINARY"), "-machine", "pseries,x-vof=on",
        "-nodefaults", "-display", "none", "-accel", "qtest",
        "-qtest", "stdio", "-qtest-log", "none", NULL
    };
    int in, out, status;
    GPid pid;
    FILE *replies;

    g_assert(g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
                                      G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                      &pid, &in, &out, NULL, NULL));
    replies = fdopen(out, "r");

    ask(in, replies, "hcall\n", "ERR the opcode is missing\n");
    ask(in, replies, "hcall x\n", "ERR 'x' is not a number\n");
    ask(in, replies, "hcall 0x20 1 2x\n", "ERR '2x' is not a number\n");
    ask(in, replies, "hcall 0x20 0x10000000000000000\n",
        "ERR '0x10000000000000000' is not a number\n");
    ask(in, replies, "hcall 0x1c 1 2 3 4 5 6 7 8 9 10\n",
        "ERR more than 9 arguments\n");
    /* H_FUNCTION: no such hypercall */
    ask(in, replies, "hcall 0xfffffffffffffffc 7\n", "OK -2 0x7\n");
    ask(in, replies, "hcall 0x1c 0x80000000 0\n", "OK 0 0x0\n");
    ask(in, replies, "hcall 0x1c 1\n", "OK -4 0x1\n");

    kill(pid, SIGTERM);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    close(in);
    fclose(replies);
}

/*
 * Random calls on a window and on an array of what it should hold
 */

typedef struct Model {
    SpaprDmaTest *t;
    uint64_t tces[ENTRIES];
} Model;

static uint64_t random64(void)
{
    return (uint64_t)(uint32_t)g_test_rand_int() << 32 |
           (uint32_t)g_test_rand_int();
}

/* Mostly near the ends of the window or the first pages, sometimes outside */
static uint64_t random_index(void)
{
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return g_test_rand_int_range(0, ENTRIES);
    case 1:
        return ENTRIES - g_test_rand_int_range(0, 40);
    default:
        return g_test_rand_int_range(0, 600);
    }
}

static uint64_t random_count(void)
{
    switch (g_test_rand_int_range(0, 10)) {
    case 0:
        return g_test_rand_int_range(0, ENTRIES + 10);
    case 1:
        return random64();
    case 2:
        return g_test_rand_int_range(500, 520);
    default:
        return g_test_rand_int_range(0, 30);
    }
}

static uint64_t random_tce(void)
{
    uint64_t perm = g_test_rand_int_range(0, 4);

    switch (g_test_rand_int_range(0, 40)) {
    case 0:
        return random64();
    case 1:
        return TEST_RAM | perm;
    case 2 ... 12:
        return 0;
    default:
        return g_test_rand_int_range(0, TEST_RAM / PAGE) * PAGE | perm;
    }
}

static bool model_tce_ok(uint64_t tce)
{
    return !(tce & TCE_RW) || (tce & ~(PAGE - 1)) < TEST_RAM;
}

static bool model_range_ok(uint64_t index, uint64_t count)
{
    return index <= ENTRIES && count <= ENTRIES - index;
}

static void random_put(Model *m)
{
    uint64_t index = random_index();
    uint64_t tce = random_tce();
    bool ok = model_range_ok(index, 1) && model_tce_ok(tce);

    assert_put(m->t, index, tce, ok ? H_SUCCESS : H_PARAMETER);
    if (ok) {
        m->tces[index] = tce;
    }
}

static void random_indirect(Model *m)
{
    uint64_t index = random_index();
    uint64_t count = random_count();
    uint64_t tces[LIST_MAX];
    bool ok = count <= LIST_MAX && model_range_ok(index, count);

    for (uint64_t i = 0; i < MIN(count, LIST_MAX); i++) {
        /* runs, now and then broken */
        if (i && g_test_rand_int_range(0, 4)) {
            tces[i] = tces[i - 1] ? tces[i - 1] + PAGE : 0;
        } else {
            tces[i] = random_tce();
        }
        ok = ok && model_tce_ok(tces[i]);
    }
    assert_indirect(m->t, index, tces, count, ok ? H_SUCCESS : H_PARAMETER);
    if (ok) {
        memcpy(&m->tces[index], tces, count * sizeof(tces[0]));
    }
}

static void random_stuff(Model *m)
{
    uint64_t index = random_index();
    uint64_t count = random_count();
    uint64_t tce = g_test_rand_int_range(0, 3) ? 0 : random_tce();
    bool mapped = tce & TCE_RW && count;
    bool ok = model_range_ok(index, count) &&
              (!mapped || (count <= LIST_MAX && model_tce_ok(tce)));

    assert_stuff(m->t, index, tce, count, ok ? H_SUCCESS : H_PARAMETER);
    for (uint64_t i = 0; ok && i < count; i++) {
        m->tces[index + i] = count <= LIST_MAX ? tce : 0;
    }
}

static void random_get(Model *m)
{
    uint64_t index = random_index();

    if (model_range_ok(index, 1)) {
        assert_all(m->t, index, 1, m->tces[index]);
    }
}

static void test_random(void)
{
    static void (*const calls[])(Model *) = {
        random_put, random_indirect, random_stuff, random_get,
    };
    g_autofree Model *m = g_new0(Model, 1);
    uint64_t i;

    m->t = boot_window();
    for (i = 0; i < 4000; i++) {
        calls[g_test_rand_int_range(0, ARRAY_SIZE(calls))](m);
    }
    for (i = 0; i < ENTRIES; i++) {
        assert_all(m->t, i, 1, m->tces[i]);
    }
    spapr_dma_quit(m->t);
}

/*
 * The data path: edu copies up to 4 KiB between the bus and its own buffer.
 * Page BOUNCE of the window under test shows that buffer.
 */

#define EDU_SRC         0x80
#define EDU_DST         0x88
#define EDU_COUNT       0x90
#define EDU_CMD         0x98
#define EDU_RUN         1ULL
#define EDU_TO_BUS      2
#define EDU_BUFFER      0x40000
#define EDU_DELAY_NS    (100 * 1000 * 1000)

#define BYTES           64
#define BOUNCE          3
#define GPA(n)          ((n) * 16 * MiB) /* a page of any size */

typedef struct Edu {
    SpaprDmaTest *t;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    uint32_t liobn;
    uint64_t base;
    uint64_t page;
} Edu;

static void edu_put(Edu *e, uint64_t index, uint64_t tce)
{
    g_assert_cmpint(spapr_put_tce(e->t, e->liobn, e->base + index * e->page,
                                  tce), ==, H_SUCCESS);
}

/* Boot with a window of this page size, or use the default window (0) */
static Edu *edu_boot(uint32_t page_shift)
{
    Edu *e = g_new0(Edu, 1);

    e->t = spapr_dma_boot("-device edu,addr=4.0,dma_mask=0x%" PRIx64,
                          UINT64_MAX);
    e->bus = qpci_new_spapr(e->t->qts, &e->t->alloc);
    e->dev = qpci_device_find(e->bus, QPCI_DEVFN(4, 0));
    g_assert_nonnull(e->dev);
    qpci_device_enable(e->dev);
    e->bar = qpci_iomap(e->dev, 0, NULL);

    e->liobn = LIOBN_DEFAULT;
    e->page = 4096;
    if (page_shift) {
        SpaprDdwWindow w = spapr_ddw_create(e->t, page_shift, page_shift + 8);

        g_assert_cmpint(w.status, ==, RTAS_OK);
        e->liobn = w.liobn;
        e->base = w.addr;
        e->page = 1ULL << page_shift;
    }
    edu_put(e, BOUNCE, GPA(BOUNCE) | TCE_RW);
    return e;
}

static void edu_quit(Edu *e)
{
    SpaprDmaTest *t = e->t;

    qpci_iounmap(e->dev, e->bar);
    g_free(e->dev);
    qpci_free_spapr(e->bus);
    spapr_dma_quit(t);
    g_free(e);
}

/* edu has its registers in the byte order of the target, not of PCI. */
static void edu_set(Edu *e, uint64_t reg, uint64_t value)
{
    value = cpu_to_be64(value);
    qpci_memwrite(e->dev, e->bar, reg, &value, sizeof(value));
}

static uint64_t edu_get(Edu *e, uint64_t reg)
{
    uint64_t value;

    qpci_memread(e->dev, e->bar, reg, &value, sizeof(value));
    return be64_to_cpu(value);
}

static void edu_dma(Edu *e, uint64_t src, uint64_t dst, uint64_t cmd)
{
    edu_set(e, EDU_SRC, src);
    edu_set(e, EDU_DST, dst);
    edu_set(e, EDU_COUNT, BYTES);
    edu_set(e, EDU_CMD, cmd);
    g_assert_cmphex(edu_get(e, EDU_CMD), ==, cmd);
    qtest_clock_step(e->t->qts, 2 * EDU_DELAY_NS);
    g_assert_cmphex(edu_get(e, EDU_CMD), ==, cmd & ~EDU_RUN);
}

static void edu_from_bus(Edu *e, uint64_t addr)
{
    edu_dma(e, addr, EDU_BUFFER, EDU_RUN);
}

static void edu_to_bus(Edu *e, uint64_t addr)
{
    edu_dma(e, EDU_BUFFER, addr, EDU_RUN | EDU_TO_BUS);
}

static void ram_fill(Edu *e, uint64_t gpa, uint8_t byte)
{
    qtest_memset(e->t->qts, gpa, byte, BYTES);
}

static bool ram_is(Edu *e, uint64_t gpa, uint8_t byte)
{
    uint8_t ram[BYTES];

    qtest_memread(e->t->qts, gpa, ram, sizeof(ram));
    for (int i = 0; i < BYTES; i++) {
        if (ram[i] != byte) {
            return false;
        }
    }
    return true;
}

/* Does the device see @byte, which is at @gpa, at bus address @addr? */
static bool edu_reads(Edu *e, uint64_t addr, uint64_t gpa, uint8_t byte)
{
    uint64_t bounce = e->base + BOUNCE * e->page;

    ram_fill(e, gpa, byte);
    ram_fill(e, GPA(BOUNCE), ~byte);
    edu_from_bus(e, bounce);
    edu_from_bus(e, addr);
    edu_to_bus(e, bounce);
    return ram_is(e, GPA(BOUNCE), byte);
}

/* Does what the device writes at bus address @addr arrive at @gpa? */
static bool edu_writes(Edu *e, uint64_t addr, uint64_t gpa, uint8_t byte)
{
    ram_fill(e, gpa, ~byte);
    ram_fill(e, GPA(BOUNCE), byte);
    edu_from_bus(e, e->base + BOUNCE * e->page);
    edu_to_bus(e, addr);
    if (ram_is(e, gpa, byte)) {
        return true;
    }
    g_assert(ram_is(e, gpa, ~byte));
    return false;
}

static void check_permissions(Edu *e)
{
    static const struct {
        uint64_t perm;
        bool read, write;
    } cases[] = {
        { TCE_NONE, false, false }, { TCE_RO, true, false },
        { TCE_WO, false, true }, { TCE_RW, true, true },
        { TCE_NONE, false, false },
    };
    /* in the middle of a page, in both spaces */
    uint64_t addr = e->base + e->page + 0x240;

    for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t page = GPA(4);

        edu_put(e, 1, page | cases[i].perm);
        g_assert(edu_reads(e, addr, page + 0x240, 0xa0 + i) == cases[i].read);
        g_assert(edu_writes(e, addr, page + 0x240, 0xb0 + i) ==
                 cases[i].write);
    }
}

/* A page that is put somewhere else, stuffed, or never there */
static void check_remap(Edu *e)
{
    uint64_t one = GPA(5);
    uint64_t two = GPA(6);
    uint64_t addr = e->base + 5 * e->page;

    edu_put(e, 5, one | TCE_RW);
    edu_put(e, 6, two | TCE_RW);
    g_assert(edu_reads(e, addr, one, 0x11));
    g_assert(edu_writes(e, addr + e->page, two, 0x22));
    edu_put(e, 5, two | TCE_RW);
    g_assert(edu_reads(e, addr, two, 0x33));
    g_assert(!edu_reads(e, addr, one, 0x44));
    g_assert_cmpint(spapr_stuff_tce(e->t, e->liobn, addr, 0, 2), ==,
                    H_SUCCESS);
    g_assert(!edu_reads(e, addr, two, 0x55));
    g_assert(!edu_writes(e, addr, two, 0x66));
    g_assert(!edu_writes(e, addr + e->page, two, 0x77));
    g_assert(!edu_reads(e, addr + 2 * e->page, two, 0x88));
}

/* A transfer over the border of two pages that lie apart */
static void check_border(Edu *e)
{
    uint64_t low = GPA(8);
    uint64_t high = GPA(7);
    uint8_t byte = 0x99;

    edu_put(e, 10, low | TCE_RW);
    edu_put(e, 11, high | TCE_RW);
    ram_fill(e, GPA(BOUNCE), byte);
    edu_from_bus(e, e->base + BOUNCE * e->page);
    ram_fill(e, low + e->page - BYTES, 0);
    ram_fill(e, high, 0);
    edu_to_bus(e, e->base + 11 * e->page - BYTES / 2);
    g_assert_cmphex(qtest_readb(e->t->qts, low + e->page - BYTES / 2 - 1), ==,
                    0);
    g_assert_cmphex(qtest_readb(e->t->qts, low + e->page - BYTES / 2), ==,
                    byte);
    g_assert_cmphex(qtest_readb(e->t->qts, low + e->page - 1), ==, byte);
    g_assert_cmphex(qtest_readb(e->t->qts, high), ==, byte);
    g_assert_cmphex(qtest_readb(e->t->qts, high + BYTES / 2 - 1), ==, byte);
    g_assert_cmphex(qtest_readb(e->t->qts, high + BYTES / 2), ==, 0);
}

static void test_dma(gconstpointer data)
{
    Edu *e = edu_boot(GPOINTER_TO_UINT(data));

    check_permissions(e);
    check_remap(e);
    check_border(e);
    edu_quit(e);
}

/* What was mapped in a window is out of reach once the window is gone. */
static void test_dma_removed(void)
{
    Edu *e = edu_boot(0);
    uint64_t target = GPA(5);

    g_assert_cmpint(spapr_ddw_create(e->t, 16, 28).status, ==, RTAS_OK);
    g_assert_cmpint(spapr_put_tce(e->t, LIOBN_64, WINDOW_64, target | TCE_RW),
                    ==, H_SUCCESS);
    g_assert(edu_writes(e, WINDOW_64, target, 0x11));
    g_assert_cmpint(spapr_ddw_remove(e->t, LIOBN_64), ==, RTAS_OK);
    g_assert(!edu_writes(e, WINDOW_64, target, 0x22));
    g_assert(!edu_reads(e, WINDOW_64, target, 0x33));

    g_assert_cmpint(spapr_ddw_create(e->t, 16, 28).status, ==, RTAS_OK);
    g_assert(!edu_writes(e, WINDOW_64, target, 0x44));
    edu_quit(e);
}

/* A5: two windows at two places, and DMA through both */
static void test_dma_two_windows(void)
{
    Edu *e = edu_boot(0);
    SpaprDdwWindow w[2];

    w[0] = spapr_ddw_create(e->t, 16, 30);
    g_assert_cmpint(w[0].status, ==, RTAS_OK);
    g_assert_cmpint(spapr_ddw_remove(e->t, LIOBN_DEFAULT), ==, RTAS_OK);
    w[1] = spapr_ddw_create(e->t, 16, 30);
    g_assert_cmpint(w[1].status, ==, RTAS_OK);

    e->page = PAGE;
    e->liobn = w[1].liobn;
    e->base = w[1].addr;
    edu_put(e, BOUNCE, GPA(BOUNCE) | TCE_RW);
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(spapr_put_tce(e->t, w[i].liobn, w[i].addr + PAGE,
                                      GPA(5 + i) | TCE_RW), ==, H_SUCCESS);
    }
    for (int i = 0; i < 2; i++) {
        g_assert(edu_reads(e, w[i].addr + PAGE, GPA(5 + i), 0x10 + i));
        g_assert(edu_writes(e, w[i].addr + PAGE, GPA(5 + i), 0x20 + i));
    }
    edu_quit(e);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        uint32_t page_shift;
    } dma[] = {
        { "spapr-tce/dma/default", 0 }, { "spapr-tce/dma/4k", 12 },
        { "spapr-tce/dma/64k", 16 }, { "spapr-tce/dma/2m", 21 },
        { "spapr-tce/dma/16m", 24 },
    };

    g_test_init(&argc, &argv, NULL);

    qtest_add_func("spapr-tce/put-get", test_put_get);
    qtest_add_func("spapr-tce/raw-words", test_raw_words);
    qtest_add_func("spapr-tce/bad/liobn", test_bad_liobn);
    qtest_add_func("spapr-tce/bad/range", test_out_of_range);
    qtest_add_func("spapr-tce/bad/unaligned", test_unaligned_ioba);
    qtest_add_func("spapr-tce/bad/B2-target", test_target_not_ram);
    qtest_add_func("spapr-tce/bad/B2-target-partly", test_target_partly_ram);
    qtest_add_func("spapr-tce/indirect/good", test_indirect);
    qtest_add_func("spapr-tce/indirect/bad-list", test_indirect_bad_list);
    qtest_add_func("spapr-tce/indirect/B3-all-or-nothing",
                   test_indirect_all_or_nothing);
    qtest_add_func("spapr-tce/B3-count-zero", test_count_zero);
    qtest_add_func("spapr-tce/stuff/good", test_stuff);
    qtest_add_func("spapr-tce/stuff/many", test_stuff_many);
    qtest_add_func("spapr-tce/stuff/A8-full-window", test_stuff_full_window);
    qtest_add_func("spapr-tce/stuff/steps", test_stuff_steps);
    qtest_add_func("spapr-tce/stuff/B3-bad", test_stuff_bad);
    qtest_add_func("spapr-tce/stuff/D18-mapped", test_stuff_mapped);
    qtest_add_func("spapr-tce/B12-index-beyond-32-bits",
                   test_index_beyond_32_bits);
    qtest_add_func("spapr-tce/other-windows", test_other_windows);
    qtest_add_func("spapr-tce/A7-memory", test_memory_bound);
    qtest_add_func("spapr-tce/stuff-lets-others", test_stuff_lets_others);
    qtest_add_func("spapr-tce/hcall-verb", test_verb);
    qtest_add_func("spapr-tce/random", test_random);
    for (unsigned int i = 0; i < ARRAY_SIZE(dma); i++) {
        qtest_add_data_func(dma[i].path, GUINT_TO_POINTER(dma[i].page_shift),
                            test_dma);
    }
    qtest_add_func("spapr-tce/dma/removed", test_dma_removed);
    qtest_add_func("spapr-tce/dma/A5-two-windows", test_dma_two_windows);

    return g_test_run();
}
