/*
 * Fuzz target for sPAPR DMA windows: is the machine as the model says?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_fuzz.h"

#define MSI_ADDR        (1ULL << 42)

void ram_write(uint64_t gpa, const void *buf, uint64_t size)
{
    if (address_space_write_rom(&address_space_memory, gpa,
                                MEMTXATTRS_UNSPECIFIED, buf,
                                size) != MEMTX_OK) {
        fail("cannot write RAM at 0x%" PRIx64, gpa);
    }
}

void ram_read(uint64_t gpa, void *buf, uint64_t size)
{
    if (address_space_read(&address_space_memory, gpa,
                           MEMTXATTRS_UNSPECIFIED, buf, size) != MEMTX_OK) {
        fail("cannot read RAM at 0x%" PRIx64, gpa);
    }
}

int64_t hcall(uint64_t opcode, uint64_t *r4, uint64_t a1, uint64_t a2,
                     uint64_t a3)
{
    target_ulong args[9] = { *r4, a1, a2, a3 };
    int64_t ret;

    call_begin();
    ret = spapr_hypercall(POWERPC_CPU(first_cpu), opcode, args);
    call_end();
    *r4 = args[0];
    return ret;
}

/* One TCE, or its absence, must be what the model says */
void check_tce(uint64_t liobn, uint64_t ioba)
{
    uint64_t r4 = liobn, word = liobn;
    int64_t expected = ref_get(ref, liobn, ioba, &word);
    int64_t ret = hcall(H_GET_TCE, &r4, ioba, 0, 0);

    if (ret != expected || r4 != word) {
        fail("H_GET_TCE(0x%" PRIx64 ", 0x%" PRIx64 "): %" PRId64 " 0x%" PRIx64
             ", not %" PRId64 " 0x%" PRIx64, liobn, ioba, ret, r4, expected,
             word);
    }
}

/* Is the window there, and from where to where? */
static void check_window(const RefWindow *window)
{
    uint64_t page = 1ULL << window->shift;
    uint64_t end = window->start + (window->pages << window->shift);

    check_tce(window->liobn, window->start);
    check_tce(window->liobn, window->start - page);
    check_tce(window->liobn, window->start + page / 2);
    check_tce(window->liobn, end - page);
    check_tce(window->liobn, end);
    check_tce(window->liobn, 0);
    check_tce(window->liobn, 1ULL << 32);
    check_tce(window->liobn, 1ULL << 59);
}

void check_windows(void)
{
    for (guint i = 0; i < ref->windows->len; i++) {
        check_window(g_ptr_array_index(ref->windows, i));
    }
    check_mirrors();
    check_followers();
    check_listeners();
}

/* All words, as far as that is affordable */
static void check_words(const RefWindow *window)
{
    GHashTableIter iter;
    gpointer key;
    int n = 0;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, NULL) && n++ < 2048) {
        check_tce(window->liobn,
                  window->start + ((uint64_t)key << window->shift));
    }
}

void check_all(void)
{
    check_windows();
    for (guint i = 0; i < ref->windows->len; i++) {
        check_words(g_ptr_array_index(ref->windows, i));
    }
}

/* One DMA access of eight bytes, which may touch two pages */
typedef struct Piece {
    uint64_t size;
    uint64_t gpa;
    bool ram;
    unsigned perm;              /* what comes of an access, too */
} Piece;

static unsigned cut_pieces(const RefPhb *phb, uint64_t addr, Piece pieces[8])
{
    uint64_t done = 0, left;
    unsigned n;

    for (n = 0; done < 8; n++) {
        Piece *piece = &pieces[n];

        piece->perm = ref_translate(phb, addr + done, &left, &piece->gpa);
        piece->size = left ? MIN(left, 8 - done) : 1;
        piece->ram = piece->perm &&
                     ref_is_ram(ref, piece->gpa, piece->size);
        if (piece->ram && !ref_is_writable(ref, piece->gpa, piece->size)) {
            piece->perm &= ~2;
        }
        done += piece->size;
    }
    return n;
}

void check_dma(unsigned p, uint64_t addr, bool write, uint64_t token)
{
    const RefPhb *phb = g_ptr_array_index(ref->phbs, p);
    const uint8_t *bytes = (const uint8_t *)&token;
    uint64_t old = ~token, buf = write ? token : 0, got, done = 0;
    unsigned n, need = write ? 2 : 1;
    bool ok = true;
    Piece pieces[8];
    MemTxResult res;

    if (addr > UINT64_MAX - 8 || addr - (MSI_ADDR - 8) < 64 * KiB + 8) {
        return;
    }
    if (p == 0) {
        caches_use(addr);
    }
    n = cut_pieces(phb, addr, pieces);
    for (unsigned i = 0; i < n; done += pieces[i++].size) {
        ok &= pieces[i].ram && pieces[i].perm & need;
        if (pieces[i].ram) {
            ram_write(pieces[i].gpa, (write ? (uint8_t *)&old : bytes) + done,
                      pieces[i].size);
        }
    }
    res = address_space_rw(&phbs[p]->iommu_as, addr, MEMTXATTRS_UNSPECIFIED,
                           &buf, sizeof(buf), write);
    if ((res == MEMTX_OK) != ok) {
        fail("DMA at 0x%" PRIx64 " of PHB %u: result %u, expected %s", addr, p,
             res, ok ? "success" : "an error");
    }
    done = 0;
    for (unsigned i = 0; i < n; done += pieces[i++].size) {
        const Piece *piece = &pieces[i];
        const uint8_t *expected = bytes;

        if (!piece->ram || (!write && !(piece->perm & need))) {
            continue;
        }
        got = buf;
        if (write) {
            ram_read(piece->gpa, (uint8_t *)&got + done, piece->size);
            expected = piece->perm & need ? bytes : (uint8_t *)&old;
        }
        if (memcmp((uint8_t *)&got + done, expected + done, piece->size)) {
            fail("DMA at 0x%" PRIx64 " of PHB %u, guest address 0x%" PRIx64
                 ": other data", addr, p, piece->gpa);
        }
        if (p == 0) {
            type1s_read(addr + done, piece->size, expected + done);
        }
    }
}

/* What a hypercall that named @count pages at @ioba can have changed */
void check_touched(uint64_t liobn, uint64_t ioba, uint64_t count,
                          uint64_t salt)
{
    const RefWindow *window = ref_find(ref, liobn);
    uint64_t page;

    check_tce(liobn, ioba);
    if (!window) {
        return;
    }
    page = 1ULL << window->shift;
    check_tce(liobn, ioba - page);
    check_tce(liobn, ioba + page * count);
    check_tce(liobn, ioba + page * (count - 1));
    check_tce(liobn, ioba + page * (salt % (count ?: 1)));
    check_tce(liobn, window->start + page * (salt % window->pages));
    if (window->phb) {
        check_dma(window->phb->index, ioba + page * (salt % (count ?: 1)) +
                                      (salt >> 8) % page, salt & 1, salt);
    }
}
