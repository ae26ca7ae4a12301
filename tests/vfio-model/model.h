/*
 * The state of the model, shared by its pieces
 *
 * One process has one model: a host with groups and functions, the files
 * that the program has open on it, and the memory that it has locked.
 * model_lock guards all of it; the shims take it around each call, so every
 * other piece runs with it held.
 *
 * Results are as in a kernel: 0 or positive on success, -errno on failure.
 * "Positive" may be a failure that the real driver lets through.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef VFIO_MODEL_MODEL_H
#define VFIO_MODEL_MODEL_H

#include <pthread.h>
#include <sys/types.h>

#include "topology.h"

typedef enum { FILE_CONTAINER, FILE_GROUP, FILE_DEVICE } FileKind;

/* An open file; descriptors that were dup'ed share it */
typedef struct {
    FileKind kind;
    unsigned references;        /* descriptors */
    void *object;               /* Container, Group or Function */
} ModelFile;

/* Who answers the ioctls of a container: a mask, so that a table can ask */
typedef enum {
    DRIVER_NONE = 0,
    DRIVER_SPAPR_V1 = 1,
    DRIVER_SPAPR_V2 = 2,
    DRIVER_TYPE1_V1 = 4,
    DRIVER_TYPE1_V2 = 8,
} Driver;

#define DRIVER_TYPE1 (DRIVER_TYPE1_V1 | DRIVER_TYPE1_V2)

typedef struct Registration Registration;
typedef struct Type1 Type1;

struct Container {
    Container *next;
    unsigned id;                /* 1, 2, ... in order of opening; set once */
    unsigned references;        /* its descriptors as one, and its groups */
    Group *groups;              /* newest first */
    Driver driver;
    pid_t mm;                   /* who touched it first; 0: nobody yet */

    /* sPAPR */
    bool enabled;               /* MAP and UNMAP are allowed */
    bool default_pending;       /* the default window is still to be made */
    uint64_t enable_charge;     /* v1: bytes charged by ENABLE */
    TceTable *tables[MAX_WINDOWS];
    Registration *registrations;    /* references to regions of the mm */

    Type1 *type1;
};

extern pthread_mutex_t model_lock;
extern Host host;
extern Container *containers;

/* Pages of the host in @bytes, which are a multiple of them */
static inline uint64_t host_pages(uint64_t bytes)
{
    return bytes >> host.page_shift;
}

#endif
