/*
 * What the guest program has in assembly
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * hypercall: make a hypercall
 * @regs: in: the opcode and up to five arguments, r3 to r8; out: [1] to [3]
 *        are r4 to r6, where many calls leave their results
 *
 * Returns the status that the call leaves in r3.
 */
long hypercall(uint64_t *regs);

/* Where another processor starts, as RTAS wants it: code, not a function */
extern const char other_start[];

#endif /* BENCH_GUEST_H */
