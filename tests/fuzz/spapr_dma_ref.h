/*
 * Reference model of sPAPR DMA windows
 *
 * Says what PAPR's hypercalls and RTAS calls on DMA windows must answer, and
 * where a device's access must end up.  Written from the specification
 * (docs/specs/ppc-spapr-ddw.rst), in the simplest way that can be right, and
 * deliberately without anything of the code that it checks: a window is a
 * hash table of words, memory a list of ranges.
 *
 * Words: a page is one of a window's, numbered from 0; a word is a TCE as the
 * guest wrote it; untouched is what an RTAS output holds before the call.
 *
 * Nothing can fail: whatever is asked gets an answer.  Not thread-safe.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_SPAPR_DMA_REF_H
#define TESTS_QTEST_FUZZ_SPAPR_DMA_REF_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define REF_WINDOWS_PER_PHB 2
#define REF_LIST_WORDS      512
#define REF_RTAS_WORDS      8

/* What PAPR calls them, with numbers of our own copying */
enum {
    REF_H_SUCCESS = 0,
    REF_H_PARAMETER = -4,
    REF_H_NOT_ENOUGH_RESOURCES = -44,
};

enum {
    REF_RTAS_OK = 0,
    REF_RTAS_HARDWARE = -1,
    REF_RTAS_PARAMETER = -3,
};

typedef enum RefRtasCall {
    REF_QUERY,
    REF_CREATE,
    REF_REMOVE,
    REF_RESET,
} RefRtasCall;

typedef struct RefPhb RefPhb;

/**
 * RefWindow: a window, there or not
 * @liobn: its number
 * @phb: whose it is; NULL if a VIO device's
 * @exists: may it be used?  What follows is only valid then
 * @is_default: was it made as the default window?
 * @start: first bus address
 * @shift: log2 of the page size in bytes
 * @pages: how many
 * @words: page to word; those that are missing are zero
 * @mapped: how many words have permission
 */
typedef struct RefWindow {
    uint32_t liobn;
    RefPhb *phb;
    bool exists;
    bool is_default;
    uint64_t start;
    unsigned shift;
    uint64_t pages;
    GHashTable *words;
    uint64_t mapped;
} RefWindow;

/**
 * RefPhb: a PHB, its properties first
 * @index: its number
 * @ddw: does it have RTAS calls?
 * @low_addr: place of the default window
 * @low_size: bytes of it
 * @high_addr: place of other windows
 * @page_sizes: bit n set if pages may have 2^n bytes, and a query can say so
 * @limited_ok: can hosts do limited-address mode?
 * @one_window: bytes of the only window that a host has, at 0, in pages of
 *              4 KiB; 0 if all hosts have more
 * @refuse_window: the host is going to refuse the next window
 * @refuse_gpa: the host is going to refuse to map this page, if not 0
 * @limited: in limited-address mode
 */
struct RefPhb {
    unsigned index;
    bool ddw;
    uint64_t low_addr;
    uint64_t low_size;
    uint64_t high_addr;
    uint64_t page_sizes;

    bool limited_ok;
    uint64_t one_window;
    bool refuse_window;
    uint64_t refuse_gpa;

    bool limited;
    RefWindow windows[REF_WINDOWS_PER_PHB];
};

/**
 * RefRange: RAM, of one backend
 * @start: first address
 * @size: bytes
 * @of_device: it is no memory that the machine was given
 * @read_only: nobody can write to it
 */
typedef struct RefRange {
    uint64_t start;
    uint64_t size;
    bool of_device;
    bool read_only;
} RefRange;

/**
 * RefMachine: all of it
 * @phbs: of #RefPhb
 * @windows: of #RefWindow, those of all PHBs and VIO devices
 * @ram: of #RefRange
 * @spent: words may take no more memory of the host
 */
typedef struct RefMachine {
    GPtrArray *phbs;
    GPtrArray *windows;
    GArray *ram;
    bool spent;
} RefMachine;

RefMachine *ref_new(void);

/**
 * ref_add_phb: add a PHB with its default window
 * @properties: which is copied; what follows them is ignored
 */
RefPhb *ref_add_phb(RefMachine *ref, const RefPhb *properties);

/**
 * ref_add_vio: add the window of a VIO device, at 0 in 4 KiB pages
 */
RefWindow *ref_add_vio(RefMachine *ref, uint32_t liobn, uint64_t size);

void ref_add_ram(RefMachine *ref, uint64_t start, uint64_t size);
void ref_add_range(RefMachine *ref, RefRange range);
void ref_del_ram(RefMachine *ref, uint64_t start);
bool ref_is_ram(const RefMachine *ref, uint64_t start, uint64_t size);

/* Is all of that RAM of one backend? */
bool ref_in_one(const RefMachine *ref, uint64_t start, uint64_t size);

/* Can all of that be written?  It is RAM. */
bool ref_is_writable(const RefMachine *ref, uint64_t start, uint64_t size);

/**
 * ref_reset: the machine was reset
 */
void ref_reset(RefMachine *ref);

/**
 * ref_find: the window that a hypercall names, or NULL
 */
RefWindow *ref_find(const RefMachine *ref, uint64_t liobn);

/* Hypercalls: the return code, and what was read in @word */
int64_t ref_put(RefMachine *ref, uint64_t liobn, uint64_t ioba, uint64_t word);
int64_t ref_get(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                uint64_t *word);
int64_t ref_stuff(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                  uint64_t word, uint64_t count);

/**
 * ref_put_list: H_PUT_TCE_INDIRECT
 * @list: guest address of the list
 * @words: what is there, if that is RAM
 */
int64_t ref_put_list(RefMachine *ref, uint64_t liobn, uint64_t ioba,
                     uint64_t list, const uint64_t *words, uint64_t count);

/**
 * ref_rtas: an RTAS call
 * @rets: in: untouched; out: the answer, where the call gives one
 */
void ref_rtas(RefMachine *ref, RefRtasCall call,
              uint32_t nargs, const uint32_t *args,
              uint32_t nret, uint32_t *rets);

/* The word of a page that is in the window */
uint64_t ref_word(const RefWindow *window, uint64_t page);

/**
 * RefMemory: bytes that words take of the host
 * @least: without what is kept for later
 * @most: with the largest heads that blocks may have, and with a block at each
 *        level that is kept although nothing is in it
 */
typedef struct RefMemory {
    uint64_t least;
    uint64_t most;
} RefMemory;

/**
 * ref_memory: what the words of a window take
 *
 * 512 neighbours make a block of 4 KiB, if one of them is not zero, and 512
 * neighbouring blocks need one more.
 */
RefMemory ref_memory(const RefWindow *window);

/* Bytes that the words of all windows may take together */
uint64_t ref_memory_limit(const RefMachine *ref);

/* How many blocks of words a range of pages has */
uint64_t ref_blocks(const RefWindow *window, uint64_t page, uint64_t count);

/* Where a word points to; only if it has permission */
uint64_t ref_target(const RefWindow *window, uint64_t word);

/**
 * ref_translate: where an access of a PHB's devices goes
 * @addr: bus address
 * @left: bytes up to the end of the page, 0 if there is no window
 * @gpa: guest physical address; only if the result is not 0
 *
 * Returns what is allowed: bit 0 reading, bit 1 writing.
 */
unsigned ref_translate(const RefPhb *phb, uint64_t addr, uint64_t *left,
                       uint64_t *gpa);

#endif /* TESTS_QTEST_FUZZ_SPAPR_DMA_REF_H */
