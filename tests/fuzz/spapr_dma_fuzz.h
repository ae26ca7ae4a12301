/*
 * Fuzz target for sPAPR DMA windows: what its files want of each other
 *
 * See spapr_dma_fuzz.c for what it is.
 *
 * Locks: everything runs with the BQL, in the main thread unless it says
 * otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_QTEST_FUZZ_SPAPR_DMA_FUZZ_H
#define TESTS_QTEST_FUZZ_SPAPR_DMA_FUZZ_H

#include "qemu/interval-tree.h"
#include "qemu/units.h"
#include "hw/pci-host/spapr.h"
#include "spapr_dma_ref.h"
#include "../../../hw/ppc/spapr_dma_private.h"

#define RAM_SIZE        (256 * MiB)
#define VIO_LIOBN       0x71000003U
#define BUID(index)     (0x800000020000000ULL + (index))
#define DIMM_BASE       (1 * GiB)
#define DIMM_SIZE       (256 * MiB)
#define DIMMS           2
#define PHBS            4

/* RAM of devices lies here, in several parts */
#define PARTS_BASE      (16 * GiB)
#define PARTS_SIZE      (36 * MiB)

/* ---- spapr_dma_fuzz.c: the machine and its model ---- */

extern RefMachine *ref;
extern SpaprMachineState *spapr;
extern SpaprPhbState *phbs[PHBS];

/* Was a DIMM unplugged below what is mapped, since this input began? */
extern bool unplugged;

/* H_PUT_TCE, and whatever it is answered is checked */
void put(uint64_t liobn, uint64_t ioba, uint64_t word);

/* The same for H_STUFF_TCE; @salt says where to look afterwards */
void stuff(uint64_t liobn, uint64_t ioba, uint64_t word, uint64_t count,
           uint64_t salt);

/* The same for an RTAS call */
void rtas(RefRtasCall call, uint32_t nargs, const uint32_t *args,
          uint32_t nret);

/* ---- spapr_dma_fuzz_run.c ---- */

#define HISTORY         16

typedef struct Op {
    const char *name;
    uint64_t args[5];
    int64_t ret;
} Op;

/**
 * FuzzRun: what was done so far
 * @ops: operations
 * @inputs: inputs that came to their end
 * @since: when it began
 * @longest: most CPU time that one hypercall or RTAS call has kept the BQL for
 *           at a stretch, in ns
 * @longest_op: which that was
 * @history: the last operations
 * @tallies: what operations were answered
 * @verbose: print each operation
 * @input: the input
 * @input_size: its bytes
 * @input_name: where to save a random input that fails, or NULL
 */
typedef struct FuzzRun {
    uint64_t ops;
    uint64_t inputs;
    int64_t since;
    int64_t longest;
    Op longest_op;
    Op history[HISTORY];
    struct {
        const char *name;
        uint64_t done, wrong, refused;
    } tallies[HISTORY];
    bool verbose;
    const uint8_t *input;
    size_t input_size;
    char *input_name;
} FuzzRun;

extern FuzzRun run;

/**
 * fail: say how the machine differs from the model, and end
 * @fmt: as in printf()
 */
void G_NORETURN G_GNUC_PRINTF(1, 2) fail(const char *fmt, ...);

/**
 * begin: note an operation that comes now
 * @name: of its kind, a constant
 * @a0: and what follows: whatever describes it
 */
void begin(const char *name, uint64_t a0, uint64_t a1, uint64_t a2,
           uint64_t a3, uint64_t a4);

/* The operation that is under way */
Op *last_op(void);

/* Count what the operation was answered, and return that */
int64_t result(int64_t ret);

/* Sometimes, for those who wait */
void print_progress(void);
void print_summary(void);

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

/* Little-endian number of so many bytes; zeroes follow the last one */
uint64_t take(Input *in, unsigned bytes);

/* A number below @bound, which is 0 if that is */
uint64_t take_below(Input *in, uint64_t bound);

/* ---- spapr_dma_fuzz_lock.c ---- */

/* Pages that may be looked at before the BQL is let go of for a moment */
#define PAGES_PER_STRETCH 32768

void lock_setup(void);

/**
 * call_begin: a hypercall or RTAS call comes now
 *
 * From now on it is noted how often the BQL is let go of, and how long it is
 * kept.
 */
void call_begin(void);

void call_end(void);

/* In how many stretches the last call of a thread had the BQL */
extern __thread unsigned stretches;

/**
 * between_stretches: have another vCPU do something, once
 * @what: what it does, with the BQL, when the next call has let go of that;
 *        NULL if it should not any more
 *
 * The call goes on when that is done.
 */
void between_stretches(void (*what)(void));

/* ---- spapr_dma_fuzz_look.c ---- */

/* Also where only the machine itself can write */
void ram_write(uint64_t gpa, const void *buf, uint64_t size);
void ram_read(uint64_t gpa, void *buf, uint64_t size);

/**
 * hcall: what a vCPU does
 * @opcode: of the hypercall
 * @r4: in: the first argument; out: what was returned there
 * @a1: and what follows: the other arguments
 */
int64_t hcall(uint64_t opcode, uint64_t *r4, uint64_t a1, uint64_t a2,
              uint64_t a3);


/* One TCE, or its absence, must be what the model says */
void check_tce(uint64_t liobn, uint64_t ioba);

/* Windows are where they should be, and all who mirror them have them */
void check_windows(void);

/* The same, and all words, as far as that is affordable */
void check_all(void);

/**
 * check_dma: have a device access eight bytes
 * @p: PHB of the device
 * @addr: bus address
 * @write: is it a write?
 * @token: what is read or written
 */
void check_dma(unsigned p, uint64_t addr, bool write, uint64_t token);

/**
 * check_touched: look at what a hypercall can have changed
 * @liobn: of the window that it named
 * @ioba: first page that it named
 * @count: how many
 * @salt: any number; says where else to look
 */
void check_touched(uint64_t liobn, uint64_t ioba, uint64_t count,
                   uint64_t salt);

/* ---- spapr_dma_fuzz_memory.c ---- */

/* Stores hold what they should and no more, once readers are done */
void check_memory(void);

/* Store words until they take as much memory as they may */
void op_spend(Input *in);

/* Have a long H_STUFF_TCE, and somebody else do something meanwhile */
void op_long_stuff(Input *in);

/* ---- spapr_dma_fuzz_mirror.c ---- */

#define MIRRORS         2

typedef struct MirrorWindow {
    SpaprDmaGeometry geometry;
    int connected;              /* table of KVM that updates it, or -1 */
    GHashTable *pages;          /* number to guest address | permission */
} MirrorWindow;

typedef struct Mirror {
    SpaprDmaMapper mapper;
    bool registered;
    bool no_limited;            /* no window may start at 4 GiB */
    bool one_window;            /* its host has one, and that at 0 */
    bool refuse_window;         /* the next one */
    bool refuse_kvm;            /* KVM is going to refuse to connect a copy */
    uint64_t refuse_gpa;        /* a run that holds this page; 0: none */
    bool refuse_always;         /* not only the first time */
    bool refused;
    GHashTable *windows;        /* SpaprDmaWindow to MirrorWindow */
} Mirror;

extern Mirror mirrors[MIRRORS];

/* What mirrors have is locked against the second vCPU */
extern QemuMutex mirrors_lock;

void mirrors_setup(void);

/**
 * mirror_join: have a mirror come, unless it is going to refuse
 * @mirror: which is not there
 * @sees_all: KVM cannot update it
 * @one_window: its host has one window; then it sees all, too
 */
void mirror_join(Mirror *mirror, bool sees_all, bool one_window);
void mirror_leave(Mirror *mirror);

/* Tell the model what the mirrors are going to refuse */
void publish_refusals(void);
void forget_refusals(void);

/* Have a mirror refuse what leads to @gpa, once or @always */
void refuse_gpa(Mirror *mirror, uint64_t gpa, bool always);

/* To be called after each operation that a mirror may have refused */
void end_refusals(void);

/* Every page that a mirror has must be mapped, and vice versa */
void check_mirrors(void);

/* ---- spapr_dma_fuzz_follower.c ---- */

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

extern Follower followers[REF_WINDOWS_PER_PHB];

void followers_setup(void);
void follower_join(Follower *follower);
void follower_leave(Follower *follower);

/* The same as check_mirrors() for followers */
void check_followers(void);

/* ---- spapr_dma_fuzz_type1.c ---- */

typedef struct Type1 Type1;

typedef struct Type1Half {
    IOMMUNotifier n;
    Type1 *type1;
} Type1Half;

struct Type1 {
    Type1Half halves[2];
    SpaprDmaWindow *window;
    bool registered;
    IntervalTreeRoot pins;      /* offsets in the window to what is there */
    uint64_t pinned;            /* how many */
};

typedef struct Cache {
    IOMMUNotifier n;
    SpaprDmaWindow *window;
    bool registered;
    GHashTable *pages;          /* number to guest address | permission */
} Cache;

extern Type1 type1s[REF_WINDOWS_PER_PHB];
extern Cache caches[REF_WINDOWS_PER_PHB];

void listeners_setup(void);

/* Is any of them there? */
bool listener_present(void);

/* The @n-th of all comes or goes */
void listener_change(unsigned n);
void listeners_leave(void);

/* What devices of PHB 0 find at @addr, on a page that they may use */
void type1s_read(uint64_t addr, uint64_t size, const uint8_t *expected);

/* A device of PHB 0 has used @addr */
void caches_use(uint64_t addr);

/* The same as check_mirrors() for them */
void check_listeners(void);

/* ---- spapr_dma_fuzz_kvm.c ---- */

extern bool kvm_on;

void kvm_setup(void);

/* What KVM does with H_PUT_TCE: nobody hears of it, but it updates copies */
void kvm_put(SpaprDmaWindow *window, uint64_t page, uint64_t word);

/* Is there a second vCPU, that stores TCEs by KVM? */
extern bool vcpu_on;

/**
 * vcpu_start: have the second vCPU store TCEs, if it is there
 *
 * It stores until vcpu_stop().
 */
void vcpu_start(void);

/**
 * vcpu_stop: have it come to rest, and tell the model what it stored
 * @clears: what was done meanwhile can have cleared windows
 */
void vcpu_stop(bool clears);

/* Was it there for this operation? */
bool vcpu_has_stored(void);

/* KVM allocates a table as it is touched, and a new one is empty */
void check_untouched(uint32_t liobn);

/* No table of KVM may be open; call when no window can have one */
void check_kvm_closed(void);

/*
 * D22: a window that had to leave KVM comes back as soon as it may.  To be
 * called after somebody came or went, with @refused if KVM refused one.
 */
void check_kvm(bool refused);

/* What is with KVM now is in the sum of what must be lockable */
void check_locked(void);

/*
 * D12: somebody translates without a lock while windows of PHB 0 change hands;
 * what was valid all the time must be seen all the time.
 */
typedef struct Reader {
    SpaprTceStore *stores[REF_WINDOWS_PER_PHB];
} Reader;

void reader_begin(Reader *reader);
void reader_end(const Reader *reader);

#endif /* TESTS_QTEST_FUZZ_SPAPR_DMA_FUZZ_H */
