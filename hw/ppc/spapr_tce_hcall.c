/*
 * sPAPR hypercalls on TCEs
 *
 * H_PUT_TCE, H_GET_TCE, H_PUT_TCE_INDIRECT and H_STUFF_TCE, as LoPAR
 * ("DMA hcall()s") has them and as KVM answers them in the host kernel.  KVM
 * passes on what it cannot handle, so a guest may meet either of us from one
 * call to the next and must not see a difference.
 *
 * A request is read as a whole; from then on it is one batch.  The answers:
 *   H_SUCCESS                 done; also a request for no entry at all
 *   H_PARAMETER               no such window, entries outside of it, an IOBA
 *                             that is not a multiple of its page size, more
 *                             TCEs than a list has room for, a list or a
 *                             target that is not guest RAM
 *   H_NOT_ENOUGH_RESOURCES    the host refused to map, or TCEs take as much
 *                             memory as they may; nothing has changed.  Guests
 *                             undo their own mapping on this code only
 *
 * Locks: the BQL.  H_STUFF_TCE lets go of it between the steps of a request
 * that takes long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/main-loop.h"
#include "exec/address-spaces.h"
#include "hw/ppc/spapr.h"
#include "spapr_dma_private.h"
#include "trace.h"

/* Is anything traced at all?  To find out what costs as much as a hypercall */
static inline bool traced(void)
{
    return unlikely(trace_events_enabled_count);
}

/* The window that a guest names, or NULL; no machine runs without a PHB */
static inline SpaprDmaWindow *find_window(const SpaprMachineState *spapr,
                                          uint64_t liobn)
{
    SpaprDmaWindow *window = spapr->dma->recent;

    return window && window->liobn == liobn ? window
                                            : spapr_dma_window_find(liobn);
}

/*
 * Which entry an IOBA names.  If it is not the first address of a page, the
 * bits that are too many become the highest ones, and no window has as many
 * entries as that.
 */
static inline uint64_t ioba_index(const SpaprDmaGeometry *g, uint64_t ioba)
{
    return ror64(ioba - g->bus_offset, g->page_shift);
}

/*
 * Find the entry that the first two arguments of a hypercall name.  Returns
 * NULL unless it exists in an enabled window.
 */
static inline SpaprDmaWindow *find_entry(const SpaprMachineState *spapr,
                                         const target_ulong *args,
                                         uint64_t *index)
{
    SpaprDmaWindow *window = find_window(spapr, args[0]);

    if (!window) {
        return NULL;
    }
    *index = ioba_index(&window->geometry, args[1]);
    return *index < window->geometry.entries ? window : NULL;
}

/*
 * The same for neighbouring entries, all of which have to exist.  No entry at
 * all is right behind the last one, too.
 */
static SpaprDmaWindow *find_entries(const SpaprMachineState *spapr,
                                    uint64_t liobn, uint64_t ioba,
                                    uint64_t count, uint64_t *index)
{
    SpaprDmaWindow *window = find_window(spapr, liobn);

    if (!window || !spapr_dma_window_enabled(window)) {
        return NULL;
    }
    *index = ioba_index(&window->geometry, ioba);
    return *index <= window->geometry.entries &&
           count <= window->geometry.entries - *index ? window : NULL;
}

/* The only place where the fate of a request becomes a PAPR code */
static inline target_long put_result(int ret)
{
    if (ret == -EINVAL) {
        return H_PARAMETER;
    }
    return ret ? H_NOT_ENOUGH_RESOURCES : H_SUCCESS;
}

/*
 * A request that names no entry of a window, maybe not even a window.  Out of
 * line as all that is rare, and with few arguments: the usual case would have
 * to keep them.
 */
static __attribute__((noinline))
target_long no_entry(const target_ulong *args, SpaprDmaCall call)
{
    SpaprDmaWindow *window = spapr_dma_window_find(args[0]);
    bool one = call == SPAPR_DMA_PUT || call == SPAPR_DMA_GET;

    if (window && spapr_dma_window_enabled(window)) {
        window->counters.calls[call]++;
        spapr_dma_window_refused(window, SPAPR_DMA_REFUSAL_REASON_RANGE,
                                 args[1], one ? 1 : args[3]);
    }
    return H_PARAMETER;
}

static inline target_long put_tce(const SpaprMachineState *spapr,
                                  const target_ulong *args)
{
    uint64_t index;
    SpaprDmaWindow *window = find_entry(spapr, args, &index);

    if (!window) {
        return no_entry(args, SPAPR_DMA_PUT);
    }
    window->counters.calls[SPAPR_DMA_PUT]++;
    return put_result(spapr_dma_window_put_one(window, index, args[2]));
}

/* Apart, so that who does not trace does not pay for it */
static __attribute__((noinline))
target_long put_tce_traced(const SpaprMachineState *spapr,
                           const target_ulong *args)
{
    target_long ret = put_tce(spapr, args);

    if (SPAPR_IS_PCI_LIOBN(args[0])) {
        trace_spapr_iommu_pci_put(args[0], args[1], args[2], ret);
    } else {
        trace_spapr_iommu_put(args[0], args[1], args[2], ret);
    }
    return ret;
}

static target_ulong h_put_tce(PowerPCCPU *cpu, SpaprMachineState *spapr,
                              target_ulong opcode, target_ulong *args)
{
    return traced() ? put_tce_traced(spapr, args) : put_tce(spapr, args);
}

static inline target_long get_tce(const SpaprMachineState *spapr,
                                  target_ulong *args)
{
    uint64_t index;
    SpaprDmaWindow *window = find_entry(spapr, args, &index);

    if (!window) {
        return no_entry(args, SPAPR_DMA_GET);
    }
    window->counters.calls[SPAPR_DMA_GET]++;
    args[0] = spapr_tce_store_look(window->store, index);
    return H_SUCCESS;
}

static __attribute__((noinline))
target_long get_tce_traced(const SpaprMachineState *spapr, target_ulong *args)
{
    uint64_t liobn = args[0];
    target_long ret = get_tce(spapr, args);
    uint64_t tce = ret ? 0 : args[0];

    if (SPAPR_IS_PCI_LIOBN(liobn)) {
        trace_spapr_iommu_pci_get(liobn, args[1], ret, tce);
    } else {
        trace_spapr_iommu_get(liobn, args[1], ret, tce);
    }
    return ret;
}

static target_ulong h_get_tce(PowerPCCPU *cpu, SpaprMachineState *spapr,
                              target_ulong opcode, target_ulong *args)
{
    return traced() ? get_tce_traced(spapr, args) : get_tce(spapr, args);
}

/*
 * Copy a guest's list before looking at it, since another of its CPUs may
 * write to it meanwhile.
 */
static bool read_tce_list(uint64_t gpa, uint64_t count, uint64_t *tces)
{
    const uint64_t bytes = SPAPR_TCE_BATCH_MAX * sizeof(*tces);

    if (count > SPAPR_TCE_BATCH_MAX || gpa & (bytes - 1) ||
        !spapr_dma_ram_valid(&address_space_memory, gpa, bytes)) {
        return false;
    }
    /* RAM can be read */
    address_space_read(&address_space_memory, gpa, MEMTXATTRS_UNSPECIFIED,
                       tces, count * sizeof(*tces));
    for (uint64_t i = 0; i < count; i++) {
        be64_to_cpus(&tces[i]);
    }
    return true;
}

/* Store the first of the machine's words; any number of them */
static int put_words(SpaprDmaWindow *window, uint64_t index, uint64_t count)
{
    SpaprTceBatch batch = {
        .words = window->machine->words,
        .index = index,
        .count = count,
        .page_shift = window->geometry.page_shift,
        .runs = window->machine->runs,
    };

    return count ? spapr_dma_window_put(window, &batch) : 0;
}

/* The same, and if it is refused, that is counted */
static target_long put_list(SpaprDmaWindow *window, uint64_t index,
                            uint64_t count)
{
    int ret = put_words(window, index, count);

    if (ret) {
        spapr_dma_put_refused(window, index, count, ret);
    }
    return put_result(ret);
}

static target_ulong h_put_tce_indirect(PowerPCCPU *cpu,
                                       SpaprMachineState *spapr,
                                       target_ulong opcode, target_ulong *args)
{
    uint64_t liobn = args[0], ioba = args[1], list = args[2], count = args[3];
    uint64_t last = 0, last_tce = 0, index;
    SpaprDmaWindow *window = find_entries(spapr, liobn, ioba, count, &index);
    target_long ret = H_PARAMETER;

    if (!window) {
        no_entry(args, SPAPR_DMA_PUT_INDIRECT);
    } else if (!read_tce_list(list, count, window->machine->words)) {
        window->counters.calls[SPAPR_DMA_PUT_INDIRECT]++;
        spapr_dma_window_refused(window, SPAPR_DMA_REFUSAL_REASON_LIST, ioba,
                                 count);
    } else {
        window->counters.calls[SPAPR_DMA_PUT_INDIRECT]++;
        if (count) {
            last = count - 1;
            last_tce = window->machine->words[last];
        }
        ret = put_list(window, index, count);
    }
    if (SPAPR_IS_PCI_LIOBN(liobn)) {
        trace_spapr_iommu_pci_indirect(liobn, ioba, list, last, last_tce, ret);
    } else {
        trace_spapr_iommu_indirect(liobn, ioba, list, last, last_tce, ret);
    }
    return ret;
}

/*
 * Clear in steps, each of bounded length, and let others have the BQL between
 * them.  If another CPU of the guest removes the window meanwhile, what it was
 * to contain does not matter any more.
 */
static void clear_tces(SpaprDmaWindow *window, uint64_t index, uint64_t count)
{
    uint64_t generation = window->generation, done;

    while (count) {
        done = spapr_dma_window_clear_some(window, index, count);
        index += done;
        count -= done;
        if (count) {
            bql_unlock();
            /* The lock is not fair: without this, who waits would go on */
            g_usleep(1);
            bql_lock();
            if (window->generation != generation ||
                !spapr_dma_window_enabled(window)) {
                return;
            }
        }
    }
}

/* As if a guest had named a list with one word again and again */
static void repeat_word(SpaprDmaMachine *machine, uint64_t tce, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        machine->words[i] = tce;
    }
}

/*
 * The other bits of a TCE without permission are kept only in as many entries
 * as LoPAR allows, and only if there may be memory for them: a zero says the
 * same.
 */
static void take_back(SpaprDmaWindow *window, uint64_t index, uint64_t tce,
                      uint64_t count)
{
    if (tce && count <= SPAPR_TCE_BATCH_MAX) {
        repeat_word(window->machine, tce, count);
        if (!put_words(window, index, count)) {
            return;
        }
    }
    object_ref(OBJECT(window));
    clear_tces(window, index, count);
    object_unref(OBJECT(window));
}

/*
 * LoPAR allows 512 entries and a TCE with permission; KVM, and with it every
 * guest in use, any number within the window and only TCEs without.  Both are
 * done here, so only a guest that needs what KVM refuses sees a difference:
 * FreeBSD before 11 maps single pages this way, and panics if it may not.
 */
static target_long stuff(SpaprDmaWindow *window, uint64_t index, uint64_t tce,
                         uint64_t count)
{
    if (!spapr_tce_perm(tce)) {
        take_back(window, index, tce, count);
        return H_SUCCESS;
    }
    if (count > SPAPR_TCE_BATCH_MAX) {
        spapr_dma_window_refused(window, SPAPR_DMA_REFUSAL_REASON_PERMISSION,
                                 spapr_dma_iova(window, index), count);
        return H_PARAMETER;
    }
    repeat_word(window->machine, tce, count);
    return put_list(window, index, count);
}

static target_ulong h_stuff_tce(PowerPCCPU *cpu, SpaprMachineState *spapr,
                                target_ulong opcode, target_ulong *args)
{
    uint64_t liobn = args[0], ioba = args[1], tce = args[2], count = args[3];
    uint64_t index;
    SpaprDmaWindow *window = find_entries(spapr, liobn, ioba, count, &index);
    target_long ret = H_PARAMETER;

    if (window) {
        window->counters.calls[SPAPR_DMA_STUFF]++;
        ret = stuff(window, index, tce, count);
    } else {
        no_entry(args, SPAPR_DMA_STUFF);
    }
    if (SPAPR_IS_PCI_LIOBN(liobn)) {
        trace_spapr_iommu_pci_stuff(liobn, ioba, tce, count, ret);
    } else {
        trace_spapr_iommu_stuff(liobn, ioba, tce, count, ret);
    }
    return ret;
}

static void register_tce_hcalls(void)
{
    spapr_register_hypercall(H_PUT_TCE, h_put_tce);
    spapr_register_hypercall(H_GET_TCE, h_get_tce);
    spapr_register_hypercall(H_PUT_TCE_INDIRECT, h_put_tce_indirect);
    spapr_register_hypercall(H_STUFF_TCE, h_stuff_tce);
}

type_init(register_tce_hcalls)
