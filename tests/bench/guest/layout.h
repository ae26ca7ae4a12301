/*
 * What both the assembly and the C code of the guest program are built for
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BENCH_LAYOUT_H
#define BENCH_LAYOUT_H

#define PROCESSORS 4
#define STACK_SHIFT 14          /* each has 2^this bytes of stack */

#endif /* BENCH_LAYOUT_H */
