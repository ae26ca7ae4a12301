/*
 * Fuzz target: a guest that plays with its sPAPR DMA windows
 *
 * An input is a sequence of operations: RTAS calls, hypercalls, DMA, machine
 * resets, DIMMs that come and go, mappers that come, go and refuse.  Each is
 * done to the machine and to a reference model (spapr_dma_ref.h), and whatever
 * can be seen must be the same afterwards: return codes, r4, RTAS words, the
 * TCEs of the pages that were touched and of some others, what DMA reads and
 * writes, and what the mappers were told.  The first difference aborts.
 *
 * Objects: four PHBs (one without DDW, two with odd properties), a VIO device,
 * two DIMM slots, and two Mirrors, mappers of PHB 0 that keep a copy of all
 * mappings; a Follower, an IOMMU notifier, for each window of PHB 0; and
 * something that looks like KVM, which makes tables of windows if it is on.
 * Numbers in an input mostly select something that exists ("n-th window, page
 * k"); some are taken raw.
 *
 * Every input ends with everything as it was at the beginning, by operations
 * that are checked as well, so that an input finds the same machine whatever
 * was run before.
 *
 * Targets:
 *   spapr-dma         libFuzzer makes the inputs, or replays the files named
 *   spapr-dma-random  random inputs until $SPAPR_DMA_OPS operations are done
 *                     (default 1000000), from $SPAPR_DMA_SEED
 * SPAPR_DMA_VERBOSE=1 prints every operation.
 *
 * Locks: everything runs in the main thread with the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "qemu/timer.h"
#include "qom/object_interfaces.h"
#include "hw/boards.h"
#include "hw/mem/pc-dimm.h"
#include "hw/pci-host/spapr.h"
#include "hw/ppc/spapr.h"
#include "hw/ppc/spapr_dma_locked.h"
#include "hw/ppc/spapr_drc.h"
#include "monitor/qdev.h"
#include "system/accel-blocker.h"
#include "tests/qtest/libqtest.h"
#include "fuzz.h"
#include "spapr_dma_ref.h"
#include "../../../hw/ppc/spapr_dma_private.h"
#include <sys/mman.h>
#include <sys/prctl.h>

#define RAM_SIZE        (256 * MiB)
#define DIMM_BASE       (1 * GiB)
#define DIMM_SIZE       (256 * MiB)
#define DIMMS           2
#define VIO_LIOBN       0x71000003U
#define VIO_SIZE        (256 * MiB)
#define BUID(index)     (0x800000020000000ULL + (index))
#define MSI_ADDR        (1ULL << 42)
#define RTAS_ARGS       0x8000
#define RTAS_RETS       0x8100
#define UNTOUCHED       0xdeadbeefU
#define MIRRORS         2
#define HISTORY         16
#define PROGRESS        500000          /* operations */
#define KVM_TABLE       "spapr-dma-kvm-table"
#define KVM_ENTRIES     (1ULL << 18)    /* it makes no larger tables */

static const RefPhb phb_properties[] = {
    { .index = 0, .ddw = true, .low_size = 1 * GiB,
      .high_addr = 1ULL << 59, .page_sizes = 0x1211000 },
    { .index = 1, .low_size = 1 * GiB, .high_addr = 1ULL << 59,
      .page_sizes = 0x1211000 },
    { .index = 2, .ddw = true, .low_addr = 2 * GiB, .low_size = 512 * MiB,
      .high_addr = 1ULL << 59, .page_sizes = 0x410011000 },
    { .index = 3, .ddw = true, .low_addr = 0x10000, .low_size = 0x3000,
      .high_addr = 0x40000000, .page_sizes = 0x201000 }, /* not 2^29 */
};

/* ---- what happened, for the message when it was wrong ---- */

typedef struct Op {
    const char *name;
    uint64_t args[5];
    int64_t ret;
} Op;

static struct {
    uint64_t ops;
    uint64_t inputs;
    int64_t since;
    int64_t longest;            /* CPU ns of one hypercall or RTAS call */
    Op longest_op;
    Op history[HISTORY];
    struct {
        const char *name;
        uint64_t done, wrong, refused;
    } tallies[HISTORY];
    bool verbose;
    const uint8_t *input;
    size_t input_size;
    char *input_name;           /* where to save a failing random input */
} run;

static Op *last_op(void)
{
    return &run.history[run.ops % HISTORY];
}

static void print_op(const Op *op)
{
    fprintf(stderr, "# %-14s", op->name);
    for (int i = 0; i < ARRAY_SIZE(op->args); i++) {
        fprintf(stderr, " 0x%" PRIx64, op->args[i]);
    }
    fprintf(stderr, " -> %" PRId64 "\n", op->ret);
}

static void G_NORETURN G_GNUC_PRINTF(1, 2) fail(const char *fmt, ...)
{
    va_list ap;

    for (uint64_t i = run.ops < HISTORY ? 1 : run.ops - HISTORY + 1;
         i <= run.ops; i++) {
        print_op(&run.history[i % HISTORY]);
    }
    fprintf(stderr, "# operation %" PRIu64 ": ", run.ops);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    if (run.input_name) {
        g_file_set_contents(run.input_name, (const char *)run.input,
                            run.input_size, NULL);
        fprintf(stderr, "# input saved as %s\n", run.input_name);
    }
    abort();
}

static void begin(const char *name, uint64_t a0, uint64_t a1, uint64_t a2,
                  uint64_t a3, uint64_t a4)
{
    run.ops++;
    *last_op() = (Op) { .name = name, .args = { a0, a1, a2, a3, a4 } };
    if (run.verbose) {
        print_op(last_op());
    }
}

/* Count what the operation was answered */
static int64_t result(int64_t ret)
{
    Op *op = last_op();
    int i = 0;

    op->ret = ret;
    while (run.tallies[i].name && run.tallies[i].name != op->name) {
        i++;
    }
    run.tallies[i].name = op->name;
    run.tallies[i].done += ret == 0;
    run.tallies[i].wrong += ret == H_PARAMETER || ret == REF_RTAS_PARAMETER;
    run.tallies[i].refused += ret == H_NOT_ENOUGH_RESOURCES ||
                              ret == REF_RTAS_HARDWARE;
    return ret;
}

static int64_t cpu_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

/* Note how long the machine was kept busy since @start */
static void took(int64_t start)
{
    int64_t ns = cpu_clock() - start;

    if (ns > run.longest) {
        run.longest = ns;
        run.longest_op = *last_op();
    }
}

static void print_rate(const char *prefix)
{
    double seconds = (get_clock() - run.since) / 1e9;

    fprintf(stderr, "# %s%" PRIu64 " operations in %" PRIu64 " inputs, "
            "%.0f s, %.0f operations/s\n", prefix, run.ops, run.inputs,
            seconds, run.ops / seconds);
}

/* Sometimes, for those who wait */
static void print_progress(void)
{
    static uint64_t next = PROGRESS;

    if (run.ops >= next) {
        print_rate("so far ");
        next += PROGRESS;
    }
}

static void print_summary(void)
{
    print_rate("");
    for (int i = 0; run.tallies[i].name; i++) {
        fprintf(stderr, "# %-14s %" PRIu64 " done, %" PRIu64 " wrong, %"
                PRIu64 " refused by the host\n", run.tallies[i].name,
                run.tallies[i].done, run.tallies[i].wrong,
                run.tallies[i].refused);
    }
    if (run.longest) {
        fprintf(stderr, "# longest call: %.0f us of CPU time\n",
                run.longest / 1e3);
        print_op(&run.longest_op);
    }
}

/* ---- input ---- */

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

/* Little-endian number of so many bytes; zeroes follow the last one */
static uint64_t take(Input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left; i++) {
        value |= (uint64_t)*in->data++ << (8 * i);
        in->left--;
    }
    return value;
}

static uint64_t take_below(Input *in, uint64_t bound)
{
    unsigned bytes = bound <= 0x100 ? 1 : bound <= 0x10000 ? 2 : 8;

    return bound ? take(in, bytes) % bound : 0;
}

/* ---- the machine and its model ---- */

typedef struct Dimm {
    DeviceState *dev;           /* NULL if the slot is empty */
    bool seen;                  /* by a guest: it was there at a reset */
} Dimm;

static RefMachine *ref;
static SpaprMachineState *spapr;
static SpaprPhbState *phbs[ARRAY_SIZE(phb_properties)];
static Dimm dimms[DIMMS];
static bool unplugged;          /* a DIMM, since this input began */

static uint64_t dimm_addr(unsigned slot)
{
    return DIMM_BASE + slot * DIMM_SIZE;
}

static void ram_write(uint64_t gpa, const void *buf, uint64_t size)
{
    if (address_space_write(&address_space_memory, gpa,
                            MEMTXATTRS_UNSPECIFIED, buf, size) != MEMTX_OK) {
        fail("cannot write RAM at 0x%" PRIx64, gpa);
    }
}

static void ram_read(uint64_t gpa, void *buf, uint64_t size)
{
    if (address_space_read(&address_space_memory, gpa,
                           MEMTXATTRS_UNSPECIFIED, buf, size) != MEMTX_OK) {
        fail("cannot read RAM at 0x%" PRIx64, gpa);
    }
}

static int64_t hcall(uint64_t opcode, uint64_t *r4, uint64_t a1, uint64_t a2,
                     uint64_t a3)
{
    target_ulong args[9] = { *r4, a1, a2, a3 };
    int64_t start = cpu_clock();
    int64_t ret = spapr_hypercall(POWERPC_CPU(first_cpu), opcode, args);

    took(start);
    *r4 = args[0];
    return ret;
}

/* ---- KVM, as windows see it ---- */

static bool kvm_on;
static GHashTable *kvm_tables;  /* SpaprDmaWindow to its newest table */

static bool fuzz_kvm_present(void)
{
    return kvm_on;
}

static bool fuzz_kvm_updates_vfio(void)
{
    return true;
}

static uint64_t *fuzz_kvm_create_table(const SpaprDmaWindow *window, int *fd)
{
    uint64_t entries = window->geometry.entries;
    void *words;

    if (entries > KVM_ENTRIES) {
        return NULL;
    }
    words = mmap(NULL, entries * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *fd = memfd_create(KVM_TABLE, MFD_CLOEXEC);
    if (words == MAP_FAILED || *fd < 0) {
        fail("no memory for a table");
    }
    g_hash_table_insert(kvm_tables, (gpointer)window, words);
    return words;
}

static const SpaprDmaKvmOps fuzz_kvm = {
    .present = fuzz_kvm_present,
    .updates_vfio = fuzz_kvm_updates_vfio,
    .create_table = fuzz_kvm_create_table,
};

/* KVM allocates a table as it is touched, and a new one is empty */
static void check_untouched(uint32_t liobn)
{
    const SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    size_t bytes = window->geometry.entries * sizeof(uint64_t);
    unsigned char resident[KVM_ENTRIES * sizeof(uint64_t) / 4096] = { };

    if (window->kvm_fd < 0) {
        return;
    }
    if (mincore(g_hash_table_lookup(kvm_tables, window), bytes, resident)) {
        fail("mincore: %s", strerror(errno));
    }
    if (memchr(resident, 1, sizeof(resident))) {
        fail("KVM's table of new window 0x%x was looked at", liobn);
    }
}

/* No table of KVM may be open; call when no window can have one */
static void check_kvm_closed(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%s", name);
        g_autofree char *link = g_file_read_link(path, NULL);

        if (link && strstr(link, KVM_TABLE)) {
            fail("file descriptor %s is a table that nobody has", name);
        }
    }
    g_dir_close(dir);
}

/* ---- mirrors: mappers of PHB 0 ---- */

typedef struct MirrorWindow {
    SpaprDmaGeometry geometry;
    int connected;              /* table of KVM that updates it, or -1 */
    GHashTable *pages;          /* number to guest address | permission */
} MirrorWindow;

typedef struct Mirror {
    SpaprDmaMapper mapper;
    bool registered;
    bool no_limited;            /* no window may start at 4 GiB */
    bool refuse_window;         /* the next one */
    bool refuse_kvm;            /* KVM is going to refuse to connect a copy */
    uint64_t refuse_gpa;        /* a run that holds this page; 0: none */
    bool refuse_always;         /* not only the first time */
    bool refused;
    GHashTable *windows;        /* SpaprDmaWindow to MirrorWindow */
} Mirror;

static Mirror mirrors[MIRRORS];

static void mirror_window_free(gpointer opaque)
{
    MirrorWindow *mw = opaque;

    g_hash_table_unref(mw->pages);
    g_free(mw);
}

static bool mirror_window_add(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                              Error **errp)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw;

    if (window->kvm_fd >= 0) {
        fail("KVM handles window 0x%x that a mapper is being attached to",
             window->liobn);
    }
    if (mirror->refuse_window) {
        mirror->refuse_window = false;
        error_setg(errp, "this test refuses window 0x%x", window->liobn);
        return false;
    }
    mw = g_new0(MirrorWindow, 1);
    mw->geometry = window->geometry;
    mw->connected = -1;
    mw->pages = g_hash_table_new(NULL, NULL);
    if (!g_hash_table_insert(mirror->windows, window, mw)) {
        fail("window 0x%x was added to a mapper twice", window->liobn);
    }
    return true;
}

static void mirror_window_del(SpaprDmaMapper *mapper, SpaprDmaWindow *window)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);

    if (!g_hash_table_remove(mirror->windows, window)) {
        fail("window 0x%x was deleted from a mapper that does not have it",
             window->liobn);
    }
}

/* The mapper's view of a window; @iova and @size must be pages of it */
static MirrorWindow *mirror_range(Mirror *mirror, SpaprDmaWindow *window,
                                  uint64_t iova, uint64_t size)
{
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, window);
    uint64_t mask, offset, bytes;

    if (!mw) {
        fail("a mapper hears of window 0x%x, which it does not have",
             window->liobn);
    }
    mask = (1ULL << mw->geometry.page_shift) - 1;
    offset = iova - mw->geometry.bus_offset;
    bytes = mw->geometry.entries << mw->geometry.page_shift;
    if (!size || (iova | size) & mask || offset >= bytes ||
        size > bytes - offset) {
        fail("window 0x%x has no pages at 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
             window->liobn, iova, size);
    }
    return mw;
}

static uint64_t mirror_page(const MirrorWindow *mw, uint64_t iova)
{
    return (iova - mw->geometry.bus_offset) >> mw->geometry.page_shift;
}

static int mirror_map(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                      const SpaprDmaRun *dma)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = mirror_range(mirror, window, dma->iova, dma->size);
    uint64_t page = 1ULL << mw->geometry.page_shift;
    uint64_t first = mirror_page(mw, dma->iova);

    if (!dma->perm || dma->perm & ~IOMMU_RW || dma->gpa & (page - 1)) {
        fail("run of permission %d at 0x%" PRIx64, dma->perm, dma->gpa);
    }
    if (!ref_is_ram(ref, dma->gpa, dma->size)) {
        fail("run of 0x%" PRIx64 " bytes at 0x%" PRIx64 " is not RAM",
             dma->size, dma->gpa);
    }
    if (mirror->refuse_gpa >= dma->gpa && mirror->refuse_gpa &&
        mirror->refuse_gpa - dma->gpa < dma->size) {
        if (!mirror->refuse_always) {
            mirror->refuse_gpa = 0;
        }
        mirror->refused = true;
        for (uint64_t i = 0; i < dma->size / page; i++) {
            g_hash_table_remove(mw->pages, (gpointer)(first + i));
        }
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < dma->size / page; i++) {
        g_hash_table_insert(mw->pages, (gpointer)(first + i),
                            (gpointer)((dma->gpa + i * page) | dma->perm));
    }
    return 0;
}

static void mirror_unmap(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                         uint64_t iova, uint64_t size)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = mirror_range(mirror, window, iova, size);
    uint64_t first = mirror_page(mw, iova);
    uint64_t count = size >> mw->geometry.page_shift;
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, mw->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if ((uint64_t)key - first < count) {
            g_hash_table_iter_remove(&iter);
        }
    }
}

static bool mirror_kvm_connect(SpaprDmaMapper *mapper, SpaprDmaWindow *window,
                               Error **errp)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, window);

    if (!mw || window->kvm_fd < 0) {
        fail("KVM is to update window 0x%x, which it does not have",
             window->liobn);
    }
    if (mirror->refuse_kvm) {
        mirror->refuse_kvm = false;
        error_setg(errp, "this test does not connect window 0x%x",
                   window->liobn);
        return false;
    }
    mw->connected = window->kvm_fd;
    return true;
}

/* What KVM does with H_PUT_TCE: nobody hears of it, but it updates copies */
static void kvm_put(SpaprDmaWindow *window, uint64_t page, uint64_t word)
{
    uint64_t *words = g_hash_table_lookup(kvm_tables, window);
    uint64_t mask = (1ULL << window->geometry.page_shift) - 1;

    words[page] = word;
    for (int i = 0; i < MIRRORS; i++) {
        MirrorWindow *mw = g_hash_table_lookup(mirrors[i].windows, window);

        if (mw && mw->connected != window->kvm_fd) {
            fail("KVM does not update a copy of window 0x%x", window->liobn);
        }
        if (mw && word & 3) {
            g_hash_table_insert(mw->pages, (gpointer)page,
                                (gpointer)((word & ~mask) | (word & 3)));
        } else if (mw) {
            g_hash_table_remove(mw->pages, (gpointer)page);
        }
    }
}

static bool mirror_can_start(SpaprDmaMapper *mapper, uint64_t bus_offset)
{
    Mirror *mirror = container_of(mapper, Mirror, mapper);

    return !mirror->no_limited || bus_offset != 1ULL << 32;
}

static const SpaprDmaMapperOps mirror_ops = {
    .window_add = mirror_window_add,
    .window_del = mirror_window_del,
    .map = mirror_map,
    .unmap = mirror_unmap,
    .kvm_connect = mirror_kvm_connect,
    .can_start = mirror_can_start,
};

/* Tell the model what the mirrors are going to refuse */
static void publish_refusals(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    phb->refuse_window = false;
    phb->refuse_gpa = 0;
    phb->limited_ok = true;
    for (int i = 0; i < MIRRORS; i++) {
        Mirror *mirror = &mirrors[i];

        if (mirror->registered) {
            phb->refuse_window |= mirror->refuse_window;
            phb->refuse_gpa = mirror->refuse_gpa ?: phb->refuse_gpa;
            phb->limited_ok &= !mirror->no_limited;
        }
    }
}

static void forget_refusals(void)
{
    for (int i = 0; i < MIRRORS; i++) {
        mirrors[i].refuse_window = false;
        mirrors[i].refuse_kvm = false;
        mirrors[i].refuse_gpa = 0;
        mirrors[i].refuse_always = false;
        mirrors[i].refused = false;
    }
    publish_refusals();
}

static void refuse_gpa(Mirror *mirror, uint64_t gpa, bool always)
{
    forget_refusals();
    mirror->refuse_gpa = gpa;
    mirror->refuse_always = always;
    publish_refusals();
}

static bool window_has_gpa(const RefWindow *window, uint64_t gpa)
{
    GHashTableIter iter;
    gpointer key, value;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        uint64_t word = (uint64_t)value, page = 1ULL << window->shift;
        uint64_t target = ref_target(window, word);

        if (word & 3 && gpa - target < page && ref_is_ram(ref, target, page)) {
            return true;
        }
    }
    return false;
}

/*
 * Whether a mapper still has a page whose memory was unplugged below it is
 * undefined; also if memory appears there again.
 */
static bool word_mirrored(const RefWindow *window, uint64_t word)
{
    return word & 3 && (!unplugged || ref_target(window, word) < DIMM_BASE);
}

static void check_mirrored_page(const MirrorWindow *mw,
                                const RefWindow *window, uint64_t page)
{
    uint64_t word = ref_word(window, page);
    uint64_t has = (uint64_t)g_hash_table_lookup(mw->pages, (gpointer)page);

    if (word_mirrored(window, word) ?
        has != (ref_target(window, word) | (word & 3)) :
        has && !(word & 3)) {
        fail("mapper has 0x%" PRIx64 " at page 0x%" PRIx64 " of window 0x%x, "
             "not 0x%" PRIx64, has, page, window->liobn, word);
    }
}

/* Every page that a mirror has must be mapped, and vice versa */
static void check_mirror_window(Mirror *mirror, const RefWindow *window)
{
    SpaprDmaWindow *dma = spapr_dma_window_find(window->liobn);
    MirrorWindow *mw = g_hash_table_lookup(mirror->windows, dma);
    GHashTableIter iter;
    gpointer key;

    if (!!mw != window->exists) {
        fail("mapper %s window 0x%x", mw ? "has" : "does not have",
             window->liobn);
    }
    if (!mw) {
        return;
    }
    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        check_mirrored_page(mw, window, (uint64_t)key);
    }
    g_hash_table_iter_init(&iter, mw->pages);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        check_mirrored_page(mw, window, (uint64_t)key);
    }
}

static void check_mirrors(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int m = 0; m < MIRRORS; m++) {
        for (int i = 0; mirrors[m].registered && i < REF_WINDOWS_PER_PHB; i++) {
            check_mirror_window(&mirrors[m], &phb->windows[i]);
        }
    }
}

/* Pages that could not be mapped back come back now */
static void mirror_repair(Mirror *mirror)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        Error *err = NULL;

        if (window->exists &&
            !spapr_dma_mapper_replay(&mirror->mapper,
                                     spapr_dma_window_find(window->liobn),
                                     &err)) {
            fail("replay: %s", error_get_pretty(err));
        }
    }
}

/* To be called after each operation that a mirror may have refused */
static void end_refusals(void)
{
    for (int i = 0; i < MIRRORS; i++) {
        Mirror *mirror = &mirrors[i];
        bool repair = mirror->registered && mirror->refuse_always &&
                      mirror->refused;

        mirror->refuse_gpa = 0;
        if (repair) {
            mirror_repair(mirror);
        }
    }
    forget_refusals();
}

/* Has PHB 0 a window that lets no mapper in as it is armed? */
static bool mirror_will_refuse(const Mirror *mirror)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];

        if (window->exists &&
            (mirror->refuse_window ||
             (mirror->refuse_gpa &&
              window_has_gpa(window, mirror->refuse_gpa)))) {
            return true;
        }
    }
    return false;
}

static void mirror_join(Mirror *mirror, bool sees_all)
{
    bool expected = !mirror_will_refuse(mirror);
    bool ok;

    spapr_dma_mapper_init(&mirror->mapper, &mirror_ops,
                          spapr_dma_space_find(&phbs[0]->iommu_as));
    ok = spapr_dma_mapper_register(&mirror->mapper, NULL);
    if (ok != expected) {
        fail("a mapper was registered: %d", ok);
    }
    if (!ok && g_hash_table_size(mirror->windows)) {
        fail("%u windows left in a mapper", g_hash_table_size(mirror->windows));
    }
    mirror->registered = ok;
    if (ok) {
        spapr_dma_mapper_set_sees_all(&mirror->mapper, sees_all);
    }
}

static void mirror_leave(Mirror *mirror)
{
    spapr_dma_mapper_unregister(&mirror->mapper);
    spapr_dma_mapper_unregister(&mirror->mapper);   /* harmless */
    mirror->registered = false;
    if (g_hash_table_size(mirror->windows)) {
        fail("%u windows left in a mapper", g_hash_table_size(mirror->windows));
    }
}

/* ---- followers: IOMMU notifiers of PHB 0's windows ---- */

/* One ends here and the next begins, as if something lay on the window */
#define FOLLOWER_SPLIT  (48 * MiB)

typedef struct Follower Follower;

typedef struct FollowerHalf {
    IOMMUNotifier n;
    Follower *follower;
} FollowerHalf;

struct Follower {
    FollowerHalf halves[2];
    SpaprDmaWindow *window;
    bool registered;
    uint64_t generation;        /* of the window that @pages is about */
    GHashTable *pages;          /* number to guest address | permission */
};

static Follower followers[REF_WINDOWS_PER_PHB];

/* D15b: whoever follows a window that goes is told so of each page */
static void follower_refresh(Follower *follower)
{
    if (follower->generation != follower->window->generation) {
        follower->generation = follower->window->generation;
        if (g_hash_table_size(follower->pages)) {
            fail("window 0x%x went, and an IOMMU notifier has %u of its pages",
                 follower->window->liobn,
                 g_hash_table_size(follower->pages));
        }
    }
}

static gboolean page_is_below(gpointer key, gpointer value, gpointer opaque)
{
    const uint64_t *range = opaque;

    return (uint64_t)key - range[0] < range[1];
}

static void follower_notify(IOMMUNotifier *n, IOMMUTLBEntry *entry)
{
    Follower *follower = container_of(n, FollowerHalf, n)->follower;
    unsigned shift = follower->window->geometry.page_shift;
    uint64_t page = entry->iova >> shift;
    uint64_t count = (entry->addr_mask + 1) >> shift;
    uint64_t range[] = { page, count };

    follower_refresh(follower);
    if (!count || entry->iova & entry->addr_mask ||
        (entry->perm && entry->translated_addr & entry->addr_mask)) {
        fail("IOMMU event at 0x%" PRIx64 " to 0x%" PRIx64 ", mask 0x%" PRIx64,
             entry->iova, entry->translated_addr, entry->addr_mask);
    }
    /* D3: a host cannot take one page back of several mapped in one go */
    if (entry->perm && count != 1) {
        fail("an IOMMU event maps %" PRIu64 " pages", count);
    }
    if (!entry->perm) {
        g_hash_table_foreach_remove(follower->pages, page_is_below, range);
    }
    for (uint64_t i = 0; entry->perm && i < count; i++) {
        if (!g_hash_table_insert(follower->pages, (gpointer)(page + i),
                                 (gpointer)(entry->translated_addr +
                                            (i << shift) + entry->perm))) {
            fail("page 0x%" PRIx64 " is told to an IOMMU notifier twice",
                 page + i);
        }
    }
}

static void check_followers(void)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        Follower *follower = &followers[i];
        uint64_t mapped = 0;
        GHashTableIter iter;
        gpointer key, value;

        if (!follower->registered || !window->exists) {
            continue;
        }
        follower_refresh(follower);
        g_hash_table_iter_init(&iter, window->words);
        while (g_hash_table_iter_next(&iter, &key, &value)) {
            uint64_t word = (uint64_t)value;
            uint64_t has = (uint64_t)g_hash_table_lookup(follower->pages, key);

            mapped += (word & 3) != 0;
            if (word & 3 && has != (ref_target(window, word) | (word & 3))) {
                fail("IOMMU notifier has 0x%" PRIx64 " at page 0x%" PRIx64
                     " of window 0x%x, not 0x%" PRIx64, has, (uint64_t)key,
                     window->liobn, word);
            }
        }
        if (g_hash_table_size(follower->pages) != mapped) {
            fail("IOMMU notifier has %u pages of window 0x%x, not %" PRIu64,
                 g_hash_table_size(follower->pages), window->liobn, mapped);
        }
    }
}

static bool follower_register(Follower *follower, unsigned half,
                              unsigned events)
{
    IOMMUNotifier *n = &follower->halves[half].n;

    follower->halves[half].follower = follower;
    iommu_notifier_init(n, follower_notify, events, half ? FOLLOWER_SPLIT : 0,
                        half ? HWADDR_MAX : FOLLOWER_SPLIT - 1, 0);
    return !memory_region_register_iommu_notifier(
        MEMORY_REGION(&follower->window->iommu), n, NULL);
}

static void follower_join(Follower *follower)
{
    SpaprDmaWindow *window = follower->window;

    if (follower_register(follower, 0, IOMMU_NOTIFIER_DEVIOTLB_UNMAP)) {
        fail("window 0x%x lets ATS in", window->liobn);
    }
    for (unsigned half = 0; half < 2; half++) {
        if (!follower_register(follower, half, IOMMU_NOTIFIER_IOTLB_EVENTS)) {
            fail("window 0x%x lets no IOMMU notifier in", window->liobn);
        }
    }
    follower->registered = true;
    follower->generation = window->generation;
    if (window->kvm_fd >= 0) {
        fail("KVM handles window 0x%x with an IOMMU notifier", window->liobn);
    }
    for (unsigned half = 0; half < 2 && spapr_dma_window_enabled(window);
         half++) {
        memory_region_iommu_replay(&window->iommu, &follower->halves[half].n);
    }
}

static void follower_leave(Follower *follower)
{
    for (unsigned half = 0; half < 2; half++) {
        memory_region_unregister_iommu_notifier(
            MEMORY_REGION(&follower->window->iommu),
            &follower->halves[half].n);
    }
    follower->registered = false;
    g_hash_table_remove_all(follower->pages);
}

/* ---- windows and KVM ---- */

/* May KVM handle hypercalls of this window of PHB 0, and can it? */
static bool kvm_should(const SpaprDmaWindow *window)
{
    bool should = kvm_on && spapr_dma_window_enabled(window) &&
                  window->geometry.entries <= KVM_ENTRIES;

    for (int i = 0; i < MIRRORS; i++) {
        should &= !mirrors[i].registered || !mirrors[i].mapper.sees_all;
    }
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        should &= !followers[i].registered;
    }
    return should;
}

/*
 * D22: a window that had to leave KVM comes back as soon as it may.  To be
 * called after somebody came or went, with @refused if KVM refused one.
 */
static void check_kvm(bool refused)
{
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const SpaprDmaWindow *window = followers[i].window;
        bool should = kvm_should(window);

        if (should ? window->kvm_fd < 0 && !refused : window->kvm_fd >= 0) {
            fail("window 0x%x is%s with KVM", window->liobn,
                 should ? " not" : "");
        }
    }
}

/* What is with KVM now is in the sum of what must be lockable */
static void check_locked(void)
{
    const SpaprDmaWindow *window;
    SpaprDmaLocked locked;
    uint64_t least = 0;
    GHashTableIter iter;
    void *space;

    g_hash_table_iter_init(&iter, spapr_dma_machine()->spaces);
    while (g_hash_table_iter_next(&iter, NULL, &space)) {
        QLIST_FOREACH(window, &((SpaprDmaSpace *)space)->windows, next) {
            if (window->kvm_fd >= 0) {
                least += spapr_dma_kvm_locked(window->geometry.entries);
            }
        }
    }
    spapr_dma_locked(NULL, &locked);
    if (locked.kvm_tables < least || (!kvm_on && locked.kvm_tables)) {
        fail("tables of KVM are said to lock %" PRIu64 " bytes, %" PRIu64
             " do", locked.kvm_tables, least);
    }
}

/*
 * D12: somebody translates without a lock while windows of PHB 0 change hands;
 * what was valid all the time must be seen all the time.
 */
typedef struct Reader {
    SpaprTceStore *stores[REF_WINDOWS_PER_PHB];
} Reader;

static void reader_begin(Reader *reader)
{
    rcu_read_lock();
    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        reader->stores[i] = spapr_dma_store_read(followers[i].window);
    }
}

static void reader_end(const Reader *reader)
{
    RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    for (int i = 0; i < REF_WINDOWS_PER_PHB; i++) {
        const RefWindow *window = &phb->windows[i];
        GHashTableIter iter;
        gpointer key, value;
        int n = 0;

        g_hash_table_iter_init(&iter, window->words);
        while (window->exists && n++ < 64 &&
               g_hash_table_iter_next(&iter, &key, &value)) {
            uint64_t tce = spapr_tce_store_get(reader->stores[i],
                                               (uint64_t)key);

            if (tce != (uint64_t)value) {
                fail("page 0x%" PRIx64 " of window 0x%x was 0x%" PRIx64
                     " for a moment, not 0x%" PRIx64, (uint64_t)key,
                     window->liobn, tce, (uint64_t)value);
            }
        }
    }
    rcu_read_unlock();
}

/* ---- looking ---- */

/* One TCE, or its absence, must be what the model says */
static void check_tce(uint64_t liobn, uint64_t ioba)
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

static void check_windows(void)
{
    for (guint i = 0; i < ref->windows->len; i++) {
        check_window(g_ptr_array_index(ref->windows, i));
    }
    check_mirrors();
    check_followers();
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

static void check_all(void)
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
    unsigned perm;
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
        done += piece->size;
    }
    return n;
}

static void check_dma(unsigned p, uint64_t addr, bool write, uint64_t token)
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
    }
}

/* What a hypercall that named @count pages at @ioba can have changed */
static void check_touched(uint64_t liobn, uint64_t ioba, uint64_t count,
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

/* ---- operations: hypercalls ---- */

static RefWindow *take_window(Input *in)
{
    unsigned n = take(in, 1);

    /* Prefer PHB 0, which has mappers, and windows that are there */
    if (n & 1) {
        RefPhb *phb = g_ptr_array_index(ref->phbs, 0);
        RefWindow *window = &phb->windows[n >> 1 & 1];

        if (window->exists) {
            return window;
        }
    }
    n %= ref->windows->len;
    for (guint i = 0; i < ref->windows->len; i++) {
        RefWindow *window = g_ptr_array_index(ref->windows,
                                              (n + i) % ref->windows->len);

        if (window->exists) {
            return window;
        }
    }
    return g_ptr_array_index(ref->windows, n);
}

/* A number for a window, mostly that of @window */
static uint64_t take_liobn(Input *in, const RefWindow *window)
{
    switch (take(in, 1)) {
    case 0:
        return take(in, 8);
    case 1:
        return take(in, 4);
    case 2:
        return window->liobn | 1ULL << (32 + take_below(in, 32));
    case 3:
        window = g_ptr_array_index(ref->windows,
                                   take_below(in, ref->windows->len));
        return window->liobn;
    case 4:
        return window->liobn ^ 1;
    default:
        return window->liobn;
    }
}

/* A bus address, mostly of a page in @window and often near an end of it */
static uint64_t take_ioba(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);
    uint64_t page = 1ULL << window->shift, n;

    switch (kind % 8) {
    case 0:
        n = window->pages - take_below(in, 1024);
        break;
    case 1:
        n = take(in, 8) % (window->pages ?: 1);
        break;
    case 2:
        n = 512 * take_below(in, 1024);
        break;
    default:
        n = take_below(in, 2048);
        break;
    }
    switch (kind / 8) {
    case 0:
        return take(in, 8);
    case 1:
        return window->start + n * page + take(in, 2);
    case 2:
        return window->start - n * page;
    case 3:
        return n * page;
    default:
        return window->start + n * page;
    }
}

/* A guest address, mostly of a page in RAM */
static uint64_t take_gpa(Input *in, unsigned shift)
{
    unsigned kind = take(in, 1);
    uint64_t page = 1ULL << shift;

    if (kind < 4) {
        return take(in, 8);
    }
    if (kind < 8) {                     /* near an end */
        uint64_t ends[] = { RAM_SIZE, DIMM_BASE, DIMM_BASE + DIMM_SIZE,
                            DIMM_BASE + 2 * DIMM_SIZE };

        return ends[kind - 4] + (take_below(in, 4) - 2) * page;
    }
    if (kind < 80) {                    /* a DIMM, mostly if it is there */
        uint64_t gpa = dimm_addr(take_below(in, DIMMS)) +
                       (take(in, 1) * 64 * KiB & -page);

        if (kind < 16 || ref_is_ram(ref, gpa, page)) {
            return gpa;
        }
    }
    if (kind < 168) {                   /* one of few, so that they repeat */
        return (2 + take(in, 1) % 62) * 64 * KiB & -page;
    }
    return take(in, 4) % RAM_SIZE & -page;
}

static uint64_t take_word(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);
    uint64_t word = take_gpa(in, window->shift) & ~3ULL;

    if (kind < 4) {
        word = take(in, 8);             /* anything */
    } else if (kind < 16) {
        word |= take(in, 2);            /* with bits that are ignored */
    }
    return kind < 16 ? word : word | kind % 4;
}

/* Have a mapper refuse what one of the words that come next points to */
static void take_refusal(Input *in, const RefWindow *window,
                         const uint64_t *words, uint64_t count)
{
    unsigned kind = take(in, 1);
    uint64_t n = take(in, 2), gpa;

    if (kind < 32 && count && count <= REF_LIST_WORDS &&
        window->phb == g_ptr_array_index(ref->phbs, 0)) {
        gpa = ref_target(window, words[n % count]);
        if (ref_is_ram(ref, gpa, 4096)) {
            refuse_gpa(&mirrors[kind & 1], gpa, kind & 2);
        }
    }
}

/* Is this for KVM?  In half of the cases it has it done by QEMU anyway */
static SpaprDmaWindow *kvm_handles(uint64_t liobn, uint64_t word)
{
    SpaprDmaWindow *window = spapr_dma_window_find(liobn);
    const RefPhb *phb = g_ptr_array_index(ref->phbs, 0);

    return window && window->kvm_fd >= 0 && !phb->refuse_gpa && word & 0x10000 ?
           window : NULL;
}

static void op_put(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t word = take_word(in, window), r4 = liobn;
    SpaprDmaWindow *kvm;
    int64_t expected, ret;

    take_refusal(in, window, &word, 1);
    kvm = kvm_handles(liobn, word);
    begin(kvm ? "KVM H_PUT_TCE" : "H_PUT_TCE", liobn, ioba, word, 0, 0);
    expected = ref_put(ref, liobn, ioba, word);
    if (kvm && expected == H_SUCCESS) {
        ret = result(H_SUCCESS);
        kvm_put(kvm, (ioba - kvm->geometry.bus_offset) >>
                     kvm->geometry.page_shift, word);
    } else {
        ret = result(hcall(H_PUT_TCE, &r4, ioba, word, 0));
    }
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    end_refusals();
    check_touched(liobn, ioba, 1, word >> 3);
}

static void op_get(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);

    begin("H_GET_TCE", liobn, ioba, 0, 0, 0);
    check_tce(liobn, ioba);
}

/* Neighbours in memory, or all the same, with a few words out of line */
static void take_list(Input *in, const RefWindow *window, uint64_t *words)
{
    unsigned kind = take(in, 1);
    uint64_t first = take_word(in, window);
    uint64_t step = kind & 1 ? 0 : 1ULL << (kind & 2 ? 12 : window->shift);

    for (unsigned i = 0; i < REF_LIST_WORDS; i++) {
        words[i] = first + i * step;
    }
    for (unsigned n = kind / 4 % 8; n; n--) {
        unsigned at = take(in, 2) % REF_LIST_WORDS;

        words[at] = take_word(in, window);
    }
    if (kind >= 192) {                  /* a hole */
        unsigned at = take(in, 2) % REF_LIST_WORDS;

        memset(&words[at], 0, (REF_LIST_WORDS - at) / 2 * sizeof(*words));
    }
}

static uint64_t take_count(Input *in, const RefWindow *window)
{
    unsigned kind = take(in, 1);

    switch (kind) {
    case 0:
        return take(in, 8);
    case 1:
        return window->pages;
    case 2:
        return 0;
    case 3 ... 10:
        return 511 + take_below(in, 4);
    default:
        return kind < 128 ? kind % 32 : take(in, 2) % (REF_LIST_WORDS + 1);
    }
}

/* A place for the list, which is filled as far as it is in RAM */
static uint64_t take_list_gpa(Input *in, const uint64_t *words)
{
    uint64_t be[REF_LIST_WORDS], gpa = take_gpa(in, 12);

    if (gpa % 4096 == 0 && ref_is_ram(ref, gpa, sizeof(be))) {
        for (unsigned i = 0; i < REF_LIST_WORDS; i++) {
            be[i] = cpu_to_be64(words[i]);
        }
        ram_write(gpa, be, sizeof(be));
    }
    return gpa;
}

static void op_put_list(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t words[REF_LIST_WORDS], count = take_count(in, window), list;
    uint64_t r4 = liobn;
    int64_t expected, ret;

    /* A small window is filled as a guest would do it, mostly */
    if (count % 8 && window->pages < count) {
        count = window->pages;
    }
    take_list(in, window, words);
    list = take_list_gpa(in, words);
    take_refusal(in, window, words, count);

    begin("H_PUT_INDIRECT", liobn, ioba, list, count, words[0]);
    expected = ref_put_list(ref, liobn, ioba, list, words, count);
    ret = result(hcall(H_PUT_TCE_INDIRECT, &r4, ioba, list, count));
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    end_refusals();
    for (unsigned i = 0; i < 4; i++) {
        check_touched(liobn, ioba, MIN(count, 1024), words[i * 128] >> 12);
    }
}

static void stuff(uint64_t liobn, uint64_t ioba, uint64_t word,
                  uint64_t count, uint64_t salt)
{
    uint64_t r4 = liobn;
    int64_t expected, ret;

    begin("H_STUFF_TCE", liobn, ioba, word, count, 0);
    expected = ref_stuff(ref, liobn, ioba, word, count);
    ret = result(hcall(H_STUFF_TCE, &r4, ioba, word, count));
    if (ret != expected) {
        fail("returned %" PRId64 ", not %" PRId64, ret, expected);
    }
    end_refusals();
    check_touched(liobn, ioba, count, salt);
}

static void op_stuff(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t liobn = take_liobn(in, window), ioba = take_ioba(in, window);
    uint64_t word = take_word(in, window), count = take_count(in, window);
    unsigned kind = take(in, 1);

    word &= kind < 16 ? ~0ULL : ~3ULL;
    if (kind > 128) {
        word = 0;
    }
    if (kind % 4 == 0) {
        count = take(in, 8) % (window->pages + 2);
    }
    stuff(liobn, ioba, word, count, take(in, 3));
}

static void op_dma(Input *in)
{
    RefWindow *window = take_window(in);
    uint64_t addr = take_ioba(in, window);
    unsigned kind = take(in, 1);
    unsigned p = window->phb ? window->phb->index : 0;

    if (kind & 2) {                     /* touch the next page, too */
        addr -= kind >> 5;
    } else {
        addr += take(in, 4) % (1ULL << window->shift);
    }
    begin(kind & 1 ? "DMA write" : "DMA read", p, addr, 0, 0, 0);
    check_dma(p, addr, kind & 1, 0x0123456789abcdefULL + run.ops);
}

/* ---- operations: RTAS ---- */

static const uint32_t rtas_tokens[] = {
    [REF_QUERY] = RTAS_IBM_QUERY_PE_DMA_WINDOW,
    [REF_CREATE] = RTAS_IBM_CREATE_PE_DMA_WINDOW,
    [REF_REMOVE] = RTAS_IBM_REMOVE_PE_DMA_WINDOW,
    [REF_RESET] = RTAS_IBM_RESET_PE_DMA_WINDOW,
};

static void rtas_raw(uint32_t token, uint32_t nargs, const uint32_t *args,
                     uint32_t nret, uint32_t *rets)
{
    uint32_t words[REF_RTAS_WORDS];
    int64_t start;

    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        words[i] = cpu_to_be32(args[i]);
    }
    ram_write(RTAS_ARGS, words, sizeof(words));
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        words[i] = cpu_to_be32(UNTOUCHED);
    }
    ram_write(RTAS_RETS, words, sizeof(words));

    start = cpu_clock();
    spapr_rtas_call(POWERPC_CPU(first_cpu), spapr, token, nargs, RTAS_ARGS,
                    nret, RTAS_RETS);
    took(start);

    ram_read(RTAS_RETS, words, sizeof(words));
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        rets[i] = be32_to_cpu(words[i]);
    }
}

static void rtas(RefRtasCall call, uint32_t nargs, const uint32_t *args,
                 uint32_t nret)
{
    static const char *const names[] = { "query", "create", "remove", "reset" };
    uint32_t rets[REF_RTAS_WORDS], expected[REF_RTAS_WORDS];

    begin(names[call], nargs, (uint64_t)args[0] << 32 | args[2], args[3],
          args[4], nret);
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        expected[i] = UNTOUCHED;
    }
    ref_rtas(ref, call, nargs, args, nret, expected);
    rtas_raw(rtas_tokens[call], nargs, args, nret, rets);
    result((int32_t)rets[0]);
    if (call == REF_CREATE && !rets[0]) {
        check_untouched(rets[1]);
    }
    for (unsigned i = 0; i < REF_RTAS_WORDS; i++) {
        if (rets[i] != expected[i]) {
            fail("output %u is 0x%x, not 0x%x", i, rets[i], expected[i]);
        }
    }
    end_refusals();
    if (call != REF_QUERY) {
        check_windows();
    }
}

/* How many, mostly @usual */
static uint32_t take_arity(Input *in, uint32_t usual)
{
    unsigned kind = take(in, 1);

    return kind < 4 ? 1 + take_below(in, REF_RTAS_WORDS - 1) : usual;
}

static void take_phb(Input *in, uint32_t *args)
{
    unsigned kind = take(in, 1);
    uint64_t buid = BUID(kind < 128 ? 0 : kind % ARRAY_SIZE(phb_properties));

    if (kind == 255) {
        buid = take(in, 8);
    }
    args[0] = kind > 250 ? take(in, 4) : 0;
    args[1] = buid >> 32;
    args[2] = buid;
}

static void op_query(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 3), nret;

    take_phb(in, args);
    nret = take_arity(in, 5 + take_below(in, 2));
    rtas(REF_QUERY, nargs, args, nret);
    check_locked();
}

static void op_create(Input *in)
{
    static const uint8_t shifts[] = { 12, 16, 21, 24, 28, 29, 34 };
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 5);
    unsigned kind;

    take_phb(in, args);
    kind = take(in, 1);
    args[3] = shifts[kind % ARRAY_SIZE(shifts)];
    if (kind < 16) {
        args[3] = take(in, kind & 1 ? 4 : 1);
    }
    kind = take(in, 1);
    args[4] = kind < 32 ? take(in, kind & 1 ? 4 : 1) :
              kind < 200 ? args[3] + kind % 20 : args[3] + kind % 50;
    rtas(REF_CREATE, nargs, args, take_arity(in, 4));
}

static void op_remove(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    uint32_t nargs = take_arity(in, 1);

    args[0] = take_liobn(in, take_window(in));
    rtas(REF_REMOVE, nargs, args, take_arity(in, 1));
}

static void op_reset(Input *in)
{
    uint32_t args[REF_RTAS_WORDS] = { };
    unsigned kind;

    take_phb(in, args);
    kind = take(in, 1);
    args[3] = kind < 240 ? 1 : take(in, 4);
    rtas(REF_RESET, take_arity(in, kind & 1 ? 4 : 3), args, take_arity(in, 1));
}

/* ---- operations: machine ---- */

static void machine_reset(void)
{
    begin("machine reset", 0, 0, 0, 0, 0);
    forget_refusals();
    ref_reset(ref);
    qemu_system_reset(SHUTDOWN_CAUSE_GUEST_RESET);
    for (unsigned i = 0; i < DIMMS; i++) {
        dimms[i].seen = dimms[i].dev;
    }
    check_all();
}

static void dimm_plug(unsigned slot)
{
    g_autofree char *id = g_strdup_printf("dimm%u", slot);
    g_autofree char *mem = g_strdup_printf("mem%u", slot);
    Object *backend;
    DeviceState *dev;

    begin("plug", slot, 0, 0, 0, 0);
    backend = object_new_with_props("memory-backend-ram",
                                    object_get_objects_root(), mem,
                                    &error_abort, "size", "256M", NULL);
    dev = qdev_new(TYPE_PC_DIMM);
    qdev_set_id(dev, g_strdup(id), &error_abort);
    object_property_set_link(OBJECT(dev), PC_DIMM_MEMDEV_PROP, backend,
                             &error_abort);
    object_property_set_uint(OBJECT(dev), PC_DIMM_ADDR_PROP, dimm_addr(slot),
                             &error_abort);
    qdev_realize_and_unref(dev, NULL, &error_abort);
    dimms[slot] = (Dimm) { .dev = dev };
    ref_add_ram(ref, dimm_addr(slot), DIMM_SIZE);
}

/* What a guest does that gives memory back */
static void guest_release(uint32_t drc)
{
    uint32_t isolate[REF_RTAS_WORDS] = { RTAS_SENSOR_TYPE_ISOLATION_STATE,
                                         drc, 0 };
    uint32_t unuse[REF_RTAS_WORDS] = { RTAS_SENSOR_TYPE_ALLOCATION_STATE,
                                       drc, 0 };
    uint32_t rets[REF_RTAS_WORDS];

    rtas_raw(RTAS_SET_INDICATOR, 3, isolate, 1, rets);
    rtas_raw(RTAS_SET_INDICATOR, 3, unuse, 1, rets);
}

static bool window_has_dimm(const RefWindow *window, unsigned slot)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, window->words);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        uint64_t target = ref_target(window, (uint64_t)value);

        if (target - dimm_addr(slot) < DIMM_SIZE) {
            return true;
        }
    }
    return false;
}

/* Clear windows that point into a DIMM, as a guest should that lets it go */
static void guest_unmap(unsigned slot)
{
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);

        if (window->exists && window_has_dimm(window, slot)) {
            stuff(window->liobn, window->start, 0, window->pages, 0);
        }
    }
}

static void dimm_unplug(unsigned slot, bool tidy)
{
    g_autofree char *mem = g_strdup_printf("mem%u", slot);
    Dimm *dimm = &dimms[slot];
    SpaprDrc *drc = spapr_drc_by_id(TYPE_SPAPR_DRC_LMB,
                                    dimm_addr(slot) / SPAPR_MEMORY_BLOCK_SIZE);

    if (tidy) {
        guest_unmap(slot);
    }
    begin("unplug", slot, dimm->seen, tidy, 0, 0);
    object_ref(OBJECT(dimm->dev));
    qdev_unplug(dimm->dev, &error_abort);
    if (dimm->seen) {
        guest_release(spapr_drc_index(drc));
    }
    if (OBJECT(dimm->dev)->parent) {
        fail("DIMM %u is still there", slot);
    }
    object_unref(OBJECT(dimm->dev));
    user_creatable_del(mem, &error_abort);
    dimm->dev = NULL;
    ref_del_ram(ref, dimm_addr(slot));
    unplugged |= !tidy;
}

static void op_dimm(Input *in)
{
    unsigned slot = take_below(in, DIMMS);
    bool tidy = take(in, 1) & 1;

    if (dimms[slot].dev) {
        dimm_unplug(slot, tidy);
    } else {
        dimm_plug(slot);
    }
    check_windows();
}

static void op_mirror(Input *in)
{
    unsigned kind = take(in, 1);
    Mirror *mirror = &mirrors[kind % MIRRORS];
    bool sees_all = kind & MIRRORS;
    bool refuses_kvm = mirrors[0].refuse_kvm || mirrors[1].refuse_kvm;
    Reader reader;

    begin("mapper", mirror - mirrors, mirror->registered, sees_all, 0, 0);
    reader_begin(&reader);
    if (mirror->registered) {
        mirror_leave(mirror);
    } else {
        mirror_join(mirror, sees_all);
    }
    reader_end(&reader);
    check_kvm(refuses_kvm);
    end_refusals();
    check_mirrors();
}

static void op_follower(Input *in)
{
    Follower *follower = &followers[take(in, 1) % ARRAY_SIZE(followers)];
    bool refuses_kvm = mirrors[0].refuse_kvm || mirrors[1].refuse_kvm;
    Reader reader;

    begin("notifier", follower - followers, follower->registered, 0, 0, 0);
    reader_begin(&reader);
    if (follower->registered) {
        follower_leave(follower);
    } else {
        follower_join(follower);
    }
    reader_end(&reader);
    check_kvm(refuses_kvm);
    end_refusals();
    check_windows();
}

/* Windows that are enabled from now on are KVM's, or are not */
static void op_kvm(void)
{
    kvm_on = !kvm_on;
    begin("KVM", kvm_on, 0, 0, 0, 0);
}

/* Arm one mapper, for the next operation */
static void op_refuse(Input *in)
{
    Mirror *mirror = &mirrors[take_below(in, MIRRORS)];
    unsigned kind = take(in, 1);
    uint64_t gpa = take_gpa(in, 12) & ~4095ULL;

    begin("refuse", mirror - mirrors, kind, gpa, 0, 0);
    forget_refusals();
    if (kind < 64) {
        mirror->refuse_window = true;
    } else if (kind < 68) {
        mirror->refuse_kvm = true;
    } else if (kind < 72) {
        mirror->no_limited = !mirror->no_limited;
    } else if (ref_is_ram(ref, gpa, 4096)) {
        refuse_gpa(mirror, gpa, kind & 1);
    }
    publish_refusals();
}

/* ---- inputs ---- */

static void step(Input *in)
{
    static const struct {
        unsigned weight;
        void (*op)(Input *in);
    } ops[] = {
        { 52, op_put }, { 54, op_put_list }, { 42, op_stuff }, { 6, op_get },
        { 40, op_dma }, { 6, op_query }, { 24, op_create }, { 7, op_remove },
        { 3, op_reset }, { 3, op_dimm }, { 3, op_mirror }, { 12, op_refuse },
    };
    unsigned kind = take(in, 1);

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        if (kind < ops[i].weight) {
            ops[i].op(in);
            return;
        }
        kind -= ops[i].weight;
    }
    kind = take(in, 1);
    if (kind < 16) {
        machine_reset();
    } else if (kind < 96) {
        op_kvm();
    } else if (kind < 176) {
        op_follower(in);
    }
}

/* Back to how it was at first */
static void restore(void)
{
    forget_refusals();
    kvm_on = false;
    for (unsigned i = 0; i < MIRRORS; i++) {
        mirrors[i].no_limited = false;
    }
    publish_refusals();
    for (unsigned i = 0; i < ARRAY_SIZE(phb_properties); i++) {
        uint32_t args[REF_RTAS_WORDS] = { 0, BUID(i) >> 32, (uint32_t)BUID(i) };

        rtas(REF_RESET, 3, args, 1);
    }
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);
        SpaprDmaWindow *dma = spapr_dma_window_find(window->liobn);

        if (dma) {      /* without DDW a PHB has one window only */
            spapr_dma_kvm_update(dma);
        }
    }
    check_kvm_closed();
    for (guint i = 0; i < ref->windows->len; i++) {
        const RefWindow *window = g_ptr_array_index(ref->windows, i);

        if (window->exists) {
            stuff(window->liobn, window->start, 0, window->pages, 0);
        }
    }
    for (unsigned i = 0; i < DIMMS; i++) {
        if (dimms[i].dev) {
            dimm_unplug(i, false);
        }
    }
    for (unsigned i = 0; i < MIRRORS; i++) {
        if (mirrors[i].registered && mirrors[i].mapper.sees_all) {
            mirror_leave(&mirrors[i]);
        }
        if (!mirrors[i].registered) {
            mirror_join(&mirrors[i], false);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(followers); i++) {
        if (followers[i].registered) {
            follower_leave(&followers[i]);
        }
    }
    check_windows();
    unplugged = false;
}

static void run_input(const uint8_t *data, size_t size)
{
    Input in = { data, size };

    run.input = data;
    run.input_size = size;
    while (in.left) {
        step(&in);
    }
    check_all();
    restore();
    run.inputs++;
}

static void spapr_dma_fuzz(QTestState *s, const unsigned char *data,
                           size_t size)
{
    run_input(data, size);
    flush_events(s);
    if (run.inputs % 8 == 0) {
        drain_call_rcu();
    }
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? g_ascii_strtoull(text, NULL, 0) : otherwise;
}

/* Everything in the first call, whatever libFuzzer has as its input */
static void spapr_dma_random(QTestState *s, const unsigned char *data,
                             size_t size)
{
    static bool done;
    uint64_t seed = env_number("SPAPR_DMA_SEED", get_clock_realtime());
    uint64_t ops = env_number("SPAPR_DMA_OPS", 1000000);
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    uint32_t bytes[1024];

    if (done) {
        return;
    }
    done = true;
    fprintf(stderr, "# SPAPR_DMA_SEED=%u SPAPR_DMA_OPS=%" PRIu64 "\n",
            (uint32_t)seed, ops);
    while (run.ops < ops) {
        for (unsigned i = 0; i < ARRAY_SIZE(bytes); i++) {
            bytes[i] = g_rand_int(rand);
        }
        run.input_name = g_strdup_printf("spapr-dma-%u-%" PRIu64,
                                         (uint32_t)seed, run.inputs);
        spapr_dma_fuzz(s, (uint8_t *)bytes, sizeof(bytes));
        g_free(run.input_name);
        run.input_name = NULL;
        print_progress();
    }
}

/* ---- setting up ---- */

static GString *spapr_dma_cmdline(FuzzTarget *t)
{
    return g_string_new(TARGET_NAME " -machine pseries,accel=qtest"
        " -nodefaults -display none -m 256M,slots=2,maxmem=2G"
        " -device spapr-vscsi,reg=0x71000003"
        " -device spapr-pci-host-bridge,index=1,ddw=off"
        " -device spapr-pci-host-bridge,index=2,dma_win_addr=0x80000000,"
        "dma_win_size=0x20000000,pgsz=0x410011000"
        " -device spapr-pci-host-bridge,index=3,dma_win_addr=0x10000,"
        "dma_win_size=0x3000,dma64_win_addr=0x40000000,pgsz=0x20201000");
}

/* DIMMs are touched here and there and go again: do not clear 2 MiB each */
static void no_huge_pages(void)
{
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static void spapr_dma_setup(QTestState *s)
{
    spapr = SPAPR_MACHINE(qdev_get_machine());
    ref = ref_new();
    ref_add_ram(ref, 0, RAM_SIZE);
    ref_add_vio(ref, VIO_LIOBN, VIO_SIZE);
    for (unsigned i = 0; i < ARRAY_SIZE(phb_properties); i++) {
        phbs[i] = spapr_pci_find_phb(spapr, BUID(i));
        g_assert(phbs[i]);
        ref_add_phb(ref, &phb_properties[i]);
    }
    kvm_tables = g_hash_table_new(NULL, NULL);
    spapr_dma_kvm_set_ops(&fuzz_kvm);
    accel_blocker_init();               /* as KVM does */
    for (unsigned i = 0; i < ARRAY_SIZE(followers); i++) {
        followers[i].window = spapr_dma_window_find(phbs[0]->dma_liobn[i]);
        followers[i].pages = g_hash_table_new(NULL, NULL);
    }
    for (unsigned i = 0; i < MIRRORS; i++) {
        mirrors[i].windows = g_hash_table_new_full(NULL, NULL, NULL,
                                                   mirror_window_free);
        mirror_join(&mirrors[i], false);
    }
    run.verbose = env_number("SPAPR_DMA_VERBOSE", 0);
    run.since = get_clock();
    atexit(print_summary);
    machine_reset();
}

static void register_spapr_dma_targets(void)
{
    fuzz_add_target(&(FuzzTarget) {
        .name = "spapr-dma",
        .description = "sPAPR DMA windows against a reference model",
        .get_init_cmdline = spapr_dma_cmdline,
        .pre_vm_init = no_huge_pages,
        .pre_fuzz = spapr_dma_setup,
        .fuzz = spapr_dma_fuzz,
    });
    fuzz_add_target(&(FuzzTarget) {
        .name = "spapr-dma-random",
        .description = "the same with a number of random operations",
        .get_init_cmdline = spapr_dma_cmdline,
        .pre_vm_init = no_huge_pages,
        .pre_fuzz = spapr_dma_setup,
        .fuzz = spapr_dma_random,
    });
}

fuzz_target_init(register_spapr_dma_targets);
