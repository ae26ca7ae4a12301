/*
 * RTAS calls for dynamic DMA windows (DDW)
 *
 * ibm,query-, ibm,create-, ibm,remove- and ibm,reset-pe-dma-window, LoPAR
 * 7.3.31.  Here arguments become numbers and outcomes become status words;
 * what happens is in spapr_phb_dma.c.
 *
 * A PE is named by a configuration address and the PHB's BUID.  As a PHB is
 * one PE, the BUID alone selects it.
 *
 * Status words: 0, or -3 for anything that the guest asked wrongly, including
 * too large a window or one too many, or -1 if the host refuses.  When the
 * status is not 0 no other output is stored and nothing was changed, except
 * that a reset or a remove may have taken windows away before the host refused
 * to give the default one back.
 *
 * Locks: the BQL.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "hw/pci-host/spapr_phb_dma.h"
#include "hw/ppc/spapr.h"
#include "trace.h"

/* Largest block in the 5-output query, whose counter has 32 bits */
#define QUERY_MAX_TCES_32 0x80000000ULL

/* Bits of the page size mask as the query reports it */
static uint32_t query_page_sizes(uint64_t page_size_mask)
{
    static const struct {
        unsigned shift;
        uint32_t bit;
    } sizes[] = {
        { 12, RTAS_DDW_PGSIZE_4K },   { 16, RTAS_DDW_PGSIZE_64K },
        { 24, RTAS_DDW_PGSIZE_16M },  { 25, RTAS_DDW_PGSIZE_32M },
        { 26, RTAS_DDW_PGSIZE_64M },  { 27, RTAS_DDW_PGSIZE_128M },
        { 28, RTAS_DDW_PGSIZE_256M }, { 34, RTAS_DDW_PGSIZE_16G },
        { 21, RTAS_DDW_PGSIZE_2M },
    };
    uint32_t bits = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        if (extract64(page_size_mask, sizes[i].shift, 1)) {
            bits |= sizes[i].bit;
        }
    }
    return bits;
}

/* The host refused: once for the log, always for the trace */
static void ddw_refused(Error *err)
{
    static uint64_t refusals;

    refusals++;
    trace_spapr_iommu_ddw_refused(error_get_pretty(err), refusals);
    if (refusals > 1) {
        error_free(err);
        return;
    }
    error_append_hint(&err, "Later refusals are only traced"
                      " (spapr_iommu_ddw_refused).\n");
    warn_report_err(err);
}

/* Status word of a request; what a guest did wrong goes to its error log */
static uint32_t ddw_status(SpaprDdwResult result, Error *err)
{
    switch (result) {
    case SPAPR_DDW_OK:
        return RTAS_OUT_SUCCESS;
    case SPAPR_DDW_HOST:
        ddw_refused(err);
        return RTAS_OUT_HW_ERROR;
    default:
        if (err) {
            qemu_log_mask(LOG_GUEST_ERROR, "DDW: %s\n", error_get_pretty(err));
            error_free(err);
        }
        return RTAS_OUT_PARAM_ERROR;
    }
}

/* The PHB that arguments 0..2 name, if it has DDW */
static SpaprPhbState *ddw_phb(SpaprMachineState *spapr, target_ulong args)
{
    uint64_t buid = deposit64(rtas_ld(args, 2), 32, 32, rtas_ld(args, 1));
    SpaprPhbState *sphb = spapr_pci_find_phb(spapr, buid);

    return sphb && sphb->ddw_enabled ? sphb : NULL;
}

static void rtas_query_window(PowerPCCPU *cpu, SpaprMachineState *spapr,
                              uint32_t token, uint32_t nargs,
                              target_ulong args, uint32_t nret,
                              target_ulong rets)
{
    SpaprPhbState *sphb = NULL;
    SpaprDdwOffer offer;
    uint32_t sizes, n = 0;

    if (nargs == 3 && (nret == 5 || nret == 6)) {
        sphb = ddw_phb(spapr, args);
    }
    if (!sphb) {
        rtas_st(rets, 0, RTAS_OUT_PARAM_ERROR);
        return;
    }

    offer = spapr_phb_window_offer(sphb);
    spapr_phb_tell_offer(sphb, &offer);
    sizes = query_page_sizes(offer.page_sizes);
    rtas_st(rets, n++, RTAS_OUT_SUCCESS);
    rtas_st(rets, n++, offer.windows);
    if (nret == 6) {
        rtas_st(rets, n++, offer.max_tces >> 32);
        rtas_st(rets, n++, (uint32_t)offer.max_tces);
    } else {
        rtas_st(rets, n++, MIN(offer.max_tces, QUERY_MAX_TCES_32));
    }
    rtas_st(rets, n++, sizes);
    rtas_st(rets, n++, 0); /* H_MIGRATE_DMA works for no page size */
    trace_spapr_iommu_ddw_query(sphb->buid, rtas_ld(args, 0), offer.windows,
                                offer.max_tces, sizes);
}

static void rtas_create_window(PowerPCCPU *cpu, SpaprMachineState *spapr,
                               uint32_t token, uint32_t nargs,
                               target_ulong args, uint32_t nret,
                               target_ulong rets)
{
    SpaprPhbState *sphb = nargs == 5 && nret == 4 ? ddw_phb(spapr, args) : NULL;
    SpaprDdwResult result = SPAPR_DDW_PARAMETER;
    SpaprDmaWindow *window;
    Error *err = NULL;

    if (sphb) {
        result = spapr_phb_window_create(sphb, rtas_ld(args, 3),
                                         rtas_ld(args, 4), &window, &err);
    }
    if (result == SPAPR_DDW_OK) {
        uint64_t addr = window->geometry.bus_offset;

        rtas_st(rets, 1, window->liobn);
        rtas_st(rets, 2, addr >> 32);
        rtas_st(rets, 3, (uint32_t)addr);
        trace_spapr_iommu_ddw_create(sphb->buid, rtas_ld(args, 0),
                                     1ULL << window->geometry.page_shift,
                                     spapr_dma_window_size(window), addr,
                                     window->liobn);
    }
    rtas_st(rets, 0, ddw_status(result, err));
}

static void rtas_remove_window(PowerPCCPU *cpu, SpaprMachineState *spapr,
                               uint32_t token, uint32_t nargs,
                               target_ulong args, uint32_t nret,
                               target_ulong rets)
{
    SpaprDdwResult result = SPAPR_DDW_PARAMETER;
    Error *err = NULL;

    if (nargs == 1 && nret == 1) {
        result = spapr_phb_window_remove(rtas_ld(args, 0), &err);
    }
    if (result == SPAPR_DDW_OK) {
        trace_spapr_iommu_ddw_remove(rtas_ld(args, 0));
    }
    rtas_st(rets, 0, ddw_status(result, err));
}

/* A fourth argument of 1 asks for limited-address mode (PAPR 2.13) */
static void rtas_reset_window(PowerPCCPU *cpu, SpaprMachineState *spapr,
                              uint32_t token, uint32_t nargs,
                              target_ulong args, uint32_t nret,
                              target_ulong rets)
{
    SpaprDdwResult result = SPAPR_DDW_PARAMETER;
    bool limited = nargs == 4;
    SpaprPhbState *sphb = NULL;
    Error *err = NULL;

    if ((nargs == 3 || (nargs == 4 && rtas_ld(args, 3) == 1)) && nret == 1) {
        sphb = ddw_phb(spapr, args);
    }
    if (sphb) {
        result = spapr_phb_windows_reset(sphb, limited, &err);
    }
    if (result == SPAPR_DDW_OK) {
        trace_spapr_iommu_ddw_reset(sphb->buid, rtas_ld(args, 0), limited);
    }
    rtas_st(rets, 0, ddw_status(result, err));
}

static void register_ddw_calls(void)
{
    spapr_rtas_register(RTAS_IBM_QUERY_PE_DMA_WINDOW,
                        "ibm,query-pe-dma-window", rtas_query_window);
    spapr_rtas_register(RTAS_IBM_CREATE_PE_DMA_WINDOW,
                        "ibm,create-pe-dma-window", rtas_create_window);
    spapr_rtas_register(RTAS_IBM_REMOVE_PE_DMA_WINDOW,
                        "ibm,remove-pe-dma-window", rtas_remove_window);
    spapr_rtas_register(RTAS_IBM_RESET_PE_DMA_WINDOW,
                        "ibm,reset-pe-dma-window", rtas_reset_window);
}

type_init(register_ddw_calls)
