/*
 * What the program did to the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "fault.h"
#include "ledger.h"
#include "prereg.h"
#include "quirk.h"
#include "tce-table.h"

#define MAX_CALLS 40
#define MAX_RESULTS 12
#define MAX_VIOLATIONS 64

typedef struct {
    const char *name;           /* constant */
    struct {
        long result;            /* 0 for everything that is no failure */
        uint64_t count;
    } results[MAX_RESULTS];
} CallCount;

static CallCount calls[MAX_CALLS];
static uint64_t counts[COUNT_END];
static char violations[MAX_VIOLATIONS][160];
static unsigned violation_count;
static char *snapshot;

static const char *const count_names[COUNT_END] = {
    [COUNT_DMA_READS] = "dma_reads",
    [COUNT_DMA_WRITES] = "dma_writes",
    [COUNT_DMA_FAULTS] = "dma_faults",
    [COUNT_INTERRUPTS] = "interrupts",
    [COUNT_PINNED] = "pages_pinned",
    [COUNT_UNPINNED] = "pages_unpinned",
    [COUNT_MAPPED] = "mapped",
    [COUNT_UNMAPPED] = "unmapped",
    [COUNT_IOMMU_MAPS] = "iommu_maps",
    [COUNT_IOMMU_UNMAPS] = "iommu_unmaps",
    [COUNT_HOT_RESETS] = "hot_resets",
    [COUNT_FUNDAMENTAL_RESETS] = "fundamental_resets",
};

/* Descriptors and states are results too: only failures are told apart */
static long class_of(const char *name, long result)
{
    return result > 0 && (!strcmp(name, "map") || !strcmp(name, "unmap") ||
                          !strcmp(name, "register")) ? 1 :
           result > 0 ? 0 : result;
}

void ledger_call(const char *name, long result)
{
    CallCount *call = calls;
    unsigned i = 0;

    result = class_of(name, result);
    while (call < calls + MAX_CALLS - 1 && call->name &&
           strcmp(call->name, name)) {
        call++;
    }
    call->name = name;
    while (i < MAX_RESULTS - 1 && call->results[i].count &&
           call->results[i].result != result) {
        i++;
    }
    call->results[i].result = result;
    call->results[i].count++;
}

void ledger_add(LedgerCount which, uint64_t amount)
{
    counts[which] += amount;
}

void ledger_violation(const char *format, ...)
{
    va_list arguments;

    if (violation_count < MAX_VIOLATIONS) {
        va_start(arguments, format);
        vsnprintf(violations[violation_count], sizeof(*violations), format,
                  arguments);
        va_end(arguments);
    }
    violation_count++;
}

static void print_calls(FILE *file)
{
    const char *comma = "";

    fprintf(file, "  \"calls\": {");
    for (CallCount *call = calls; call->name; call++) {
        fprintf(file, "%s\n    \"%s\": {", comma, call->name);
        comma = "";
        for (int i = 0; i < MAX_RESULTS && call->results[i].count; i++) {
            const long result = call->results[i].result;
            const char *name = errno_name(-result);

            fprintf(file, "%s\"", comma);
            if (!result) {
                fprintf(file, "ok");
            } else if (result > 0) {
                fprintf(file, "positive");
            } else if (name) {
                fprintf(file, "%s", name);
            } else {
                fprintf(file, "errno %ld", -result);
            }
            fprintf(file, "\": %" PRIu64, call->results[i].count);
            comma = ", ";
        }
        fprintf(file, "}");
        comma = ",";
    }
    fprintf(file, "\n  },\n");
}

static void print_windows(FILE *file, const Container *container)
{
    const char *comma = "";

    for (int i = 0; i < MAX_WINDOWS; i++) {
        const TceTable *table = container->tables[i];

        if (table) {
            fprintf(file, "%s{\"start\": %" PRIu64 ", \"page_shift\": %u, "
                    "\"entries\": %" PRIu64 ", \"levels\": %u, \"mapped\": %"
                    PRIu64 "}", comma, table->start, table->page_shift,
                    table->entries, table->levels, table->live);
            comma = ", ";
        }
    }
}

static void print_container(FILE *file, const Container *container)
{
    const char *const driver =
        container->driver == DRIVER_SPAPR_V1 ? "spapr_v1" :
        container->driver == DRIVER_SPAPR_V2 ? "spapr_v2" :
        container->driver == DRIVER_TYPE1_V1 ? "type1_v1" :
        container->driver == DRIVER_TYPE1_V2 ? "type1_v2" : "none";
    const Registration *registration = container->registrations;
    const char *comma = "";
    unsigned count = 0;

    for (; registration; registration = registration->next) {
        count++;
    }
    fprintf(file, "{\"id\": %u, \"driver\": \"%s\", \"groups\": [",
            container->id, driver);
    for (const Group *group = container->groups; group;
         group = group->next_in_container) {
        fprintf(file, "%s%d", comma, group->number);
        comma = ", ";
    }
    fprintf(file, "], \"windows\": [");
    print_windows(file, container);
    fprintf(file, "], \"registrations\": %u, \"mappings\": %u, "
            "\"default_pending\": %s}", count, type1_mappings(container),
            container->default_pending ? "true" : "false");
}

static void print_live(FILE *file)
{
    const char *comma = "";

    fprintf(file, "{\"locked_bytes\": %" PRIu64 ", \"regions\": [",
            memlock_bytes());
    for (const Region *region = regions; region; region = region->next) {
        fprintf(file, "%s{\"address\": %" PRIu64 ", \"size\": %" PRIu64
                ", \"used\": %" PRIu64 ", \"mapped\": %" PRIu64 "}", comma,
                region->address, region->size, region->used, region->mapped);
        comma = ", ";
    }
    fprintf(file, "], \"containers\": [");
    comma = "";
    for (const Container *container = containers; container;
         container = container->next) {
        fprintf(file, "%s", comma);
        print_container(file, container);
        comma = ", ";
    }
    fprintf(file, "]}");
}

static void print_violations(FILE *file)
{
    const char *comma = "";

    fprintf(file, "  \"violations\": [");
    for (unsigned i = 0; i < violation_count && i < MAX_VIOLATIONS; i++) {
        fprintf(file, "%s\n    \"%s\"", comma, violations[i]);
        comma = ",";
    }
    fprintf(file, "],\n  \"violation_count\": %u,\n", violation_count);
}

void ledger_print(FILE *file)
{
    fprintf(file, "{\n");
    print_calls(file);
    print_violations(file);
    for (int i = 0; i < COUNT_END; i++) {
        fprintf(file, "  \"%s\": %" PRIu64 ",\n", count_names[i], counts[i]);
    }
    fprintf(file, "  \"fallible_calls\": %lu,\n", fault_fallible_calls());
    fprintf(file, "  \"faults\": ");
    fault_print(file);
    fprintf(file, ",\n  \"locked_peak\": %" PRIu64 ",\n", memlock_peak());
    fprintf(file, "  \"quirks\": [");
    for (int i = 0; i < QUIRK_COUNT; i++) {
        fprintf(file, "%s\"%s%s\"", i ? ", " : "", quirk(i) ? "" : "no-",
                quirk_name(i));
    }
    fprintf(file, "],\n");
    if (snapshot) {
        fprintf(file, "  \"at_exit\": %s,\n", snapshot);
    }
    fprintf(file, "  \"live\": ");
    print_live(file);
    fprintf(file, "\n}\n");
}

void ledger_snapshot(void)
{
    size_t size;
    FILE *file = open_memstream(&snapshot, &size);

    if (file) {
        print_live(file);
        fclose(file);
    }
}

static void report(void)
{
    for (const Region *region = regions; region; region = region->next) {
        fprintf(stderr, "vfio-model: leak: 0x%" PRIx64 "+0x%" PRIx64
                " is registered %" PRIu64 " times, %" PRIu64
                " TCEs point to it\n", region->address, region->size,
                region->used, region->mapped);
    }
    if (memlock_bytes()) {
        fprintf(stderr, "vfio-model: leak: %" PRIu64
                " bytes of locked memory\n", memlock_bytes());
    }
    for (unsigned i = 0; i < violation_count && i < MAX_VIOLATIONS; i++) {
        fprintf(stderr, "vfio-model: violation: %s\n", violations[i]);
    }
}

void ledger_finish(const char *path)
{
    FILE *file = path ? fopen(path, "we") : NULL;

    if (file) {
        ledger_print(file);
        fclose(file);
    } else if (path) {
        fprintf(stderr, "vfio-model: cannot write %s: %s\n", path,
                strerror(errno));
    }
    report();
}
