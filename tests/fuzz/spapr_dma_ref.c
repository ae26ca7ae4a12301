/*
 * Reference model of sPAPR DMA windows; see spapr_dma_ref.h
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr_dma_ref.h"

#define READ_OR_WRITE   3
#define BUID_OF_PHB_0   0x800000020000000ULL
#define LIOBN_OF_PHB_0  0x80000000U
#define FOUR_GIB        (1ULL << 32)
#define MOST_PAGES      (1ULL << 37)
#define MOST_BYTES_LOG2 62
#define BLOCK_LOG2      9               /* words */
#define BLOCK_BYTES     4096
#define BLOCK_HEAD      64
#define MEMORY_ANYHOW   (64ULL << 20)
#define RAM_PER_MEMORY  32

/* ---- memory ---- */

void ref_add_ram(RefMachine *ref, uint64_t start, uint64_t size)
{
    ref_add_range(ref, (RefRange) { .start = start, .size = size });
}

void ref_add_range(RefMachine *ref, RefRange range)
{
    g_array_append_val(ref->ram, range);
}

void ref_del_ram(RefMachine *ref, uint64_t start)
{
    for (guint i = 0; i < ref->ram->len; i++) {
        if (g_array_index(ref->ram, RefRange, i).start == start) {
            g_array_remove_index(ref->ram, i);
            return;
        }
    }
}

/* How many bytes of RAM follow @addr without a gap in its range */
static uint64_t ram_from(const RefMachine *ref, uint64_t addr)
{
    for (guint i = 0; i < ref->ram->len; i++) {
        const RefRange *range = &g_array_index(ref->ram, RefRange, i);

        if (addr >= range->start && addr - range->start < range->size) {
            return range->size - (addr - range->start);
        }
    }
    return 0;
}

bool ref_is_ram(const RefMachine *ref, uint64_t start, uint64_t size)
{
    while (size) {
        uint64_t here = ram_from(ref, start);

        if (here >= size) {
            return true;
        }
        if (!here) {
            return false;
        }
        start += here;
        size -= here;
    }
    return true;
}

bool ref_in_one(const RefMachine *ref, uint64_t start, uint64_t size)
{
    return ram_from(ref, start) >= size;
}

bool ref_is_writable(const RefMachine *ref, uint64_t start, uint64_t size)
{
    for (guint i = 0; i < ref->ram->len; i++) {
        const RefRange *range = &g_array_index(ref->ram, RefRange, i);

        if (range->read_only && start < range->start + range->size &&
            range->start < start + size) {
            return false;
        }
    }
    return true;
}

/* ---- windows ---- */

static void window_init(RefMachine *ref, RefWindow *window, uint32_t liobn)
{
    window->liobn = liobn;
    window->words = g_hash_table_new(NULL, NULL);
    g_ptr_array_add(ref->windows, window);
}

static void window_make(RefWindow *window, uint64_t start, unsigned shift,
                        uint64_t pages, bool is_default)
{
    window->exists = true;
    window->is_default = is_default;
    window->start = start;
    window->shift = shift;
    window->pages = pages;
}

static void window_empty(RefWindow *window)
{
    g_hash_table_remove_all(window->words);
    window->mapped = 0;
}

static void window_unmake(RefWindow *window)
{
    window_empty(window);
    window->exists = false;
    window->is_default = false;
}

uint64_t ref_word(const RefWindow *window, uint64_t page)
{
    return (uintptr_t)g_hash_table_lookup(window->words, (gpointer)page);
}

static void set_word(RefWindow *window, uint64_t page, uint64_t word)
{
    window->mapped -= !!(ref_word(window, page) & READ_OR_WRITE);
    window->mapped += !!(word & READ_OR_WRITE);
    if (word) {
        g_hash_table_insert(window->words, (gpointer)page, (gpointer)word);
    } else {
        g_hash_table_remove(window->words, (gpointer)page);
    }
}

uint64_t ref_target(const RefWindow *window, uint64_t word)
{
    return word >> window->shift << window->shift;
}

/* How many blocks have words, of 2^@block_log2 pages each */
static uint64_t count_blocks(const RefWindow *window, unsigned block_log2,
                             uint64_t first, uint64_t count)
{
    g_autoptr(GHashTable) blocks = g_hash_table_new(NULL, NULL);
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if ((uintptr_t)key - first < count) {
            g_hash_table_add(blocks, (gpointer)((uintptr_t)key >> block_log2));
        }
    }
    return g_hash_table_size(blocks);
}

uint64_t ref_blocks(const RefWindow *window, uint64_t page, uint64_t count)
{
    return count_blocks(window, BLOCK_LOG2, page, count);
}

RefMemory ref_memory(const RefWindow *window)
{
    uint64_t blocks = 0, kept = 0;
    unsigned log2 = 0;

    if (!window->exists) {
        return (RefMemory) { };
    }
    do {
        log2 += BLOCK_LOG2;
        blocks += count_blocks(window, log2, 0, window->pages);
        kept++;
    } while ((window->pages - 1) >> log2);
    return (RefMemory) {
        .least = blocks * BLOCK_BYTES,
        .most = (blocks + kept) * (BLOCK_BYTES + BLOCK_HEAD),
    };
}

uint64_t ref_memory_limit(const RefMachine *ref)
{
    uint64_t ram = 0;

    for (guint i = 0; i < ref->ram->len; i++) {
        const RefRange *range = &g_array_index(ref->ram, RefRange, i);

        ram += range->of_device ? 0 : range->size;
    }
    return MEMORY_ANYHOW + ram / RAM_PER_MEMORY;
}

RefWindow *ref_find(const RefMachine *ref, uint64_t liobn)
{
    for (guint i = 0; i < ref->windows->len; i++) {
        RefWindow *window = g_ptr_array_index(ref->windows, i);

        if (window->exists && window->liobn == liobn) {
            return window;
        }
    }
    return NULL;
}

/* ---- hypercalls ---- */

/* The window, if all pages are in it */
static RefWindow *find_pages(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                             uint64_t count, uint64_t *page)
{
    RefWindow *window = ref_find(ref, liobn);
    uint64_t page_size;

    if (!window || ioba < window->start) {
        return NULL;
    }
    page_size = 1ULL << window->shift;
    if (ioba % page_size) {
        return NULL;
    }
    *page = (ioba - window->start) / page_size;
    if (*page > window->pages || count > window->pages - *page) {
        return NULL;
    }
    return window;
}

/* What storing this word would be answered */
static int64_t judge(RefMachine *ref, RefWindow *window, uint64_t word)
{
    uint64_t page_size = 1ULL << window->shift;
    uint64_t target = ref_target(window, word);

    if (!(word & READ_OR_WRITE)) {
        return REF_H_SUCCESS;
    }
    if (!ref_is_ram(ref, target, page_size)) {
        return REF_H_PARAMETER;
    }
    if (window->phb && window->phb->refuse_gpa &&
        window->phb->refuse_gpa >= target &&
        window->phb->refuse_gpa - target < page_size) {
        return REF_H_NOT_ENOUGH_RESOURCES;
    }
    return REF_H_SUCCESS;
}

/* Bad parameters take precedence, since the host is asked last */
static int64_t judge_all(RefMachine *ref, RefWindow *window,
                         const uint64_t *words, uint64_t count)
{
    int64_t verdict = REF_H_SUCCESS;

    for (uint64_t i = 0; i < count; i++) {
        int64_t one = judge(ref, window, words[i]);

        if (one == REF_H_PARAMETER) {
            return one;
        }
        verdict = one ?: verdict;
    }
    return verdict;
}

static bool all_zero(const uint64_t *words, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (words[i]) {
            return false;
        }
    }
    return true;
}

static int64_t put_words(RefMachine *ref, RefWindow *window, uint64_t page,
                         const uint64_t *words, uint64_t count)
{
    int64_t verdict = judge_all(ref, window, words, count);

    if (!verdict && ref->spent && !all_zero(words, count)) {
        verdict = REF_H_NOT_ENOUGH_RESOURCES;
    }
    for (uint64_t i = 0; !verdict && i < count; i++) {
        set_word(window, page + i, words[i]);
    }
    return verdict;
}

int64_t ref_put(RefMachine *ref, uint64_t liobn, uint64_t ioba, uint64_t word)
{
    uint64_t page;
    RefWindow *window = find_pages(ref, liobn, ioba, 1, &page);

    return window ? put_words(ref, window, page, &word, 1) : REF_H_PARAMETER;
}

int64_t ref_get(RefMachine *ref, uint64_t liobn, uint64_t ioba, uint64_t *word)
{
    uint64_t page;
    RefWindow *window = find_pages(ref, liobn, ioba, 1, &page);

    if (!window) {
        return REF_H_PARAMETER;
    }
    *word = ref_word(window, page);
    return REF_H_SUCCESS;
}

int64_t ref_put_list(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                     uint64_t list, const uint64_t *words, uint64_t count)
{
    uint64_t page;
    RefWindow *window = find_pages(ref, liobn, ioba, count, &page);

    if (!window || count > REF_LIST_WORDS || list % 4096 ||
        !ref_is_ram(ref, list, 4096)) {
        return REF_H_PARAMETER;
    }
    return put_words(ref, window, page, words, count);
}

/* Forget pages; their number may be astronomic, that of words is not */
static void clear_pages(RefWindow *window, uint64_t page, uint64_t count)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        uint64_t here = (uintptr_t)key;

        if (here >= page && here - page < count) {
            window->mapped -= !!(ref_word(window, here) & READ_OR_WRITE);
            g_hash_table_iter_remove(&iter);
        }
    }
}

int64_t ref_stuff(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                  uint64_t word, uint64_t count)
{
    uint64_t page;
    RefWindow *window = find_pages(ref, liobn, ioba, count, &page);

    if (!window) {
        return REF_H_PARAMETER;
    }
    if (word & READ_OR_WRITE) {
        uint64_t words[REF_LIST_WORDS];

        if (count > REF_LIST_WORDS) {
            return REF_H_PARAMETER;
        }
        for (uint64_t i = 0; i < count; i++) {
            words[i] = word;
        }
        return put_words(ref, window, page, words, count);
    }
    if (count > REF_LIST_WORDS || ref->spent) {
        clear_pages(window, page, count);
        return REF_H_SUCCESS;
    }
    for (uint64_t i = 0; i < count; i++) {
        set_word(window, page + i, word);
    }
    return REF_H_SUCCESS;
}

/* ---- RTAS ---- */

static unsigned free_windows(const RefPhb *phb)
{
    unsigned n = 0;

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        n += !phb->windows[i].exists;
    }
    return n;
}

/* How many the hosts have left */
static unsigned left_windows(const RefPhb *phb)
{
    unsigned n = free_windows(phb);

    return phb->one_window && n < REF_WINDOWS_PER_PHB ? 0 : n;
}

/* What of the PHB's page sizes the hosts have */
static uint64_t page_sizes(const RefPhb *phb)
{
    return phb->one_window ? phb->page_sizes & 0x11000 : phb->page_sizes;
}

static bool hosts_take(const RefPhb *phb, uint64_t start, uint64_t size)
{
    return !phb->refuse_window &&
           (!phb->one_window || start + size <= phb->one_window);
}

/* Returns false if the host refuses */
static bool make_default(RefPhb *phb)
{
    if (!hosts_take(phb, phb->low_addr, phb->low_size)) {
        return false;
    }
    window_make(&phb->windows[0], phb->low_addr, 12, phb->low_size / 4096,
                true);
    return true;
}

static RefPhb *find_phb(const RefMachine *ref, const uint32_t *args)
{
    uint64_t buid = (uint64_t)args[1] << 32 | args[2];

    for (guint i = 0; i < ref->phbs->len; i++) {
        RefPhb *phb = g_ptr_array_index(ref->phbs, i);

        if (phb->ddw && buid == BUID_OF_PHB_0 + phb->index) {
            return phb;
        }
    }
    return NULL;
}

static unsigned log2_below(uint64_t value)
{
    unsigned log2 = 0;

    while (value >>= 1) {
        log2++;
    }
    return log2;
}

/* Of a window as large as the bus allows */
static uint64_t most_pages(const RefPhb *phb)
{
    unsigned most = phb->one_window ? log2_below(phb->one_window) :
                                      MOST_BYTES_LOG2;

    return MIN(MOST_PAGES, 1ULL << (most - log2_below(page_sizes(phb))));
}

static uint32_t page_size_bits(uint64_t sizes)
{
    static const unsigned shift_of_bit[] = {
        12, 16, 24, 25, 26, 27, 28, 34, 21
    };
    uint32_t bits = 0;

    for (unsigned bit = 0; bit < G_N_ELEMENTS(shift_of_bit); bit++) {
        if (sizes >> shift_of_bit[bit] & 1) {
            bits |= 1U << bit;
        }
    }
    return bits;
}

static bool overlaps(const RefWindow *window, uint64_t start, uint64_t size)
{
    uint64_t last = start + size - 1;
    uint64_t window_last = window->start +
                           (window->pages << window->shift) - 1;

    return window->exists && start <= window_last && window->start <= last;
}

static bool fits(const RefPhb *phb, uint64_t start, unsigned page_shift,
                 uint64_t size)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        if (overlaps(&phb->windows[i], start, size)) {
            return false;
        }
    }
    return start % (1ULL << page_shift) == 0;
}

/* Where a window may start; false: nowhere there */
static bool place(const RefPhb *phb, int number, uint64_t *start)
{
    if (number == 0) {
        *start = phb->low_addr;
    } else {
        *start = phb->limited ? FOUR_GIB : phb->high_addr;
        if (phb->limited && !phb->limited_ok) {
            return false;
        }
    }
    return !phb->one_window || *start < phb->one_window;
}

static bool find_place(const RefPhb *phb, unsigned page_shift, uint64_t size,
                       uint64_t *start)
{
    return (place(phb, 0, start) && fits(phb, *start, page_shift, size)) ||
           (place(phb, 1, start) && fits(phb, *start, page_shift, size));
}

typedef struct Offer {
    unsigned windows;
    uint64_t pages, page_sizes;
} Offer;

/* What can be created: look for the largest that fits by trying */
static Offer offer_of(const RefPhb *phb)
{
    Offer offer = { .pages = most_pages(phb), .page_sizes = page_sizes(phb) };
    unsigned largest, bytes_log2 = phb->one_window ?
                                   log2_below(phb->one_window) :
                                   MOST_BYTES_LOG2;
    uint64_t start;

    for (int i = 0; i < 2; i++) {
        offer.windows += place(phb, i, &start) && fits(phb, start, 0, 1);
    }
    offer.windows = MIN(offer.windows, left_windows(phb));
    if (!offer.windows) {
        return offer;
    }
    for (unsigned shift = 0; shift < 64; shift++) {
        if (page_sizes(phb) >> shift & 1 &&
            !find_place(phb, shift, 1ULL << shift, &start)) {
            offer.page_sizes -= 1ULL << shift;
        }
    }
    largest = log2_below(offer.page_sizes);
    while (!find_place(phb, largest, 1ULL << bytes_log2, &start)) {
        bytes_log2--;
    }
    offer.pages = MIN(MOST_PAGES, 1ULL << (bytes_log2 - largest));
    return offer;
}

static int32_t query(RefMachine *ref, uint32_t nargs, const uint32_t *args,
                     uint32_t nret, uint32_t *rets)
{
    RefPhb *phb = nargs == 3 && (nret == 5 || nret == 6) ?
                  find_phb(ref, args) : NULL;
    Offer offer;

    if (!phb) {
        return REF_RTAS_PARAMETER;
    }
    offer = offer_of(phb);
    rets[1] = offer.windows;
    if (nret == 6) {
        rets[2] = offer.pages >> 32;
        rets[3] = (uint32_t)offer.pages;
    } else {
        rets[2] = MIN(offer.pages, 0x80000000);
    }
    rets[nret - 2] = page_size_bits(offer.page_sizes);
    rets[nret - 1] = 0;
    return REF_RTAS_OK;
}

static int32_t create(RefMachine *ref, uint32_t nargs, const uint32_t *args,
                      uint32_t nret, uint32_t *rets)
{
    RefPhb *phb = nargs == 5 && nret == 4 ? find_phb(ref, args) : NULL;
    uint32_t page_shift = args[3], window_shift = args[4];
    RefWindow *window;
    uint64_t start;

    if (!phb || page_shift > 63 || !(page_sizes(phb) >> page_shift & 1) ||
        window_shift < page_shift || window_shift > 63 ||
        1ULL << (window_shift - page_shift) > most_pages(phb) ||
        !left_windows(phb)) {
        return REF_RTAS_PARAMETER;
    }

    if (!find_place(phb, page_shift, 1ULL << window_shift, &start)) {
        return REF_RTAS_PARAMETER;
    }
    if (!hosts_take(phb, start, 1ULL << window_shift)) {
        return REF_RTAS_HARDWARE;
    }

    window = &phb->windows[phb->windows[0].exists ? 1 : 0];
    window_make(window, start, page_shift, 1ULL << (window_shift - page_shift),
                false);
    rets[1] = window->liobn;
    rets[2] = start >> 32;
    rets[3] = (uint32_t)start;
    return REF_RTAS_OK;
}

static int32_t remove_window(RefMachine *ref, uint32_t nargs,
                             const uint32_t *args, uint32_t nret)
{
    RefWindow *window = nargs == 1 && nret == 1 ? ref_find(ref, args[0]) : NULL;
    bool was_default;

    if (!window || !window->phb || !window->phb->ddw) {
        return REF_RTAS_PARAMETER;
    }
    was_default = window->is_default;
    window_unmake(window);
    if (!was_default && free_windows(window->phb) == REF_WINDOWS_PER_PHB &&
        !make_default(window->phb)) {
        return REF_RTAS_HARDWARE;
    }
    return REF_RTAS_OK;
}

static bool reset_windows(RefPhb *phb, bool limited)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        if (!phb->windows[i].is_default) {
            window_unmake(&phb->windows[i]);
        }
    }
    phb->limited = limited;
    return phb->windows[0].exists || make_default(phb);
}

static int32_t reset(RefMachine *ref, uint32_t nargs, const uint32_t *args,
                     uint32_t nret)
{
    RefPhb *phb = (nargs == 3 || nargs == 4) && nret == 1 ?
                  find_phb(ref, args) : NULL;

    if (!phb || (nargs == 4 && (args[3] != 1 || !phb->limited_ok))) {
        return REF_RTAS_PARAMETER;
    }
    return reset_windows(phb, nargs == 4) ? REF_RTAS_OK : REF_RTAS_HARDWARE;
}

void ref_rtas(RefMachine *ref, RefRtasCall call,
              uint32_t nargs, const uint32_t *args,
              uint32_t nret, uint32_t *rets)
{
    switch (call) {
    case REF_QUERY:
        rets[0] = query(ref, nargs, args, nret, rets);
        return;
    case REF_CREATE:
        rets[0] = create(ref, nargs, args, nret, rets);
        return;
    case REF_REMOVE:
        rets[0] = remove_window(ref, nargs, args, nret);
        return;
    case REF_RESET:
        rets[0] = reset(ref, nargs, args, nret);
        return;
    }
}

/* ---- devices ---- */

unsigned ref_translate(const RefPhb *phb, uint64_t addr, uint64_t *left,
                       uint64_t *gpa)
{
    *left = 0;
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        uint64_t offset = addr - window->start;
        uint64_t page = offset >> window->shift, word;

        if (window->exists && addr >= window->start && page < window->pages) {
            offset %= 1ULL << window->shift;
            *left = (1ULL << window->shift) - offset;
            word = ref_word(window, page);
            *gpa = ref_target(window, word) + offset;
            return word & READ_OR_WRITE;
        }
    }
    return 0;
}

/* ---- machine ---- */

RefMachine *ref_new(void)
{
    RefMachine *ref = g_new0(RefMachine, 1);

    ref->phbs = g_ptr_array_new();
    ref->windows = g_ptr_array_new();
    ref->ram = g_array_new(false, false, sizeof(RefRange));
    return ref;
}

RefPhb *ref_add_phb(RefMachine *ref, const RefPhb *properties)
{
    RefPhb *phb = g_new0(RefPhb, 1);

    phb->index = properties->index;
    phb->ddw = properties->ddw;
    phb->low_addr = properties->low_addr;
    phb->low_size = properties->low_size;
    phb->high_addr = properties->high_addr;
    phb->page_sizes = properties->page_sizes;
    phb->limited_ok = true;
    for (unsigned i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        window_init(ref, &phb->windows[i],
                    LIOBN_OF_PHB_0 + (phb->index << 8) + i);
        phb->windows[i].phb = phb;
    }
    make_default(phb);
    g_ptr_array_add(ref->phbs, phb);
    return phb;
}

RefWindow *ref_add_vio(RefMachine *ref, uint32_t liobn, uint64_t size)
{
    RefWindow *window = g_new0(RefWindow, 1);

    window_init(ref, window, liobn);
    window_make(window, 0, 12, size / 4096, false);
    return window;
}

void ref_reset(RefMachine *ref)
{
    for (guint i = 0; i < ref->phbs->len; i++) {
        reset_windows(g_ptr_array_index(ref->phbs, i), false);
    }
    for (guint i = 0; i < ref->windows->len; i++) {
        window_empty(g_ptr_array_index(ref->windows, i));
    }
}
