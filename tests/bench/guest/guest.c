/*
 * A guest that does nothing but hypercalls, and tells how long they took
 *
 * It reads commands from the console, a line each, and answers each with one
 * line.  Words are separated by one blank, numbers are hexadecimal.
 *
 *   ping
 *       pong
 *   loop COUNT OP A1 A2 A3 A4 STEP2 STEP3
 *       hypercall OP with arguments A1..A4, COUNT times; after each, STEP2 is
 *       added to A2 and STEP3 to A3.  Stops when one fails.
 *       done CALLS TICKS MAX STATUS R4
 *   map LIOBN IOBA SHIFT COUNT GPA PAGES FACTOR
 *       COUNT entries by H_PUT_TCE_INDIRECT, up to 512 each.  Entry i lets
 *       read and write page (i * FACTOR) % PAGES of the memory at GPA, PAGES
 *       a power of two: factor 1 maps it in order, an odd one out of order.
 *       done CALLS TICKS MAX STATUS 0
 *   rtas TOKEN NRET ARG...
 *       done 1 TICKS TICKS STATUS RET...
 *   behind CPU OP A1 A2 A3 A4 STEP2 STEP3 TURN PAUSE
 *       from now on the other processor, CPU, makes such hypercalls as of
 *       loop, with a pause of PAUSE ticks after each, whatever they are
 *       answered.  A2 and A3 start over after each TURN calls.
 *       done 0 0 0 STATUS
 *   halt
 *       stop that processor, after TICKS in all; GOOD of its calls were
 *       answered 0.  STATUS is the last answer that was not, or 0.
 *       done CALLS TICKS GOOD STATUS
 *
 * TICKS is the time in hypercalls alone, MAX that of the longest, both in
 * units of the timebase, 1/512 of a microsecond.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define H_PUT_TERM_CHAR 0x58
#define H_GET_TERM_CHAR 0x54
#define H_PUT_TCE_INDIRECT 0x13c
#define H_RTAS 0xf000

#define LIST_ENTRIES 512
#define TCE_READ_WRITE 3
#define POLL_TICKS 512000       /* look for input once in a millisecond */
#define MAX_WORDS 16

#define RTAS_START_CPU 0x2006
#define RTAS_STOP_SELF 0x2007
#define RTAS_HARDWARE_ERROR -1

typedef struct {
    uint64_t calls, ticks, max;
    long status;
} Account;

/* What the other processor does; it runs from start to end of that */
static struct {
    uint64_t words[9];          /* OP A1 A2 A3 A4 STEP2 STEP3 TURN PAUSE */
    uint64_t calls, good, ticks;
    long status;
    bool stop, stopped;
} other = { .stopped = true };

static uint64_t list[LIST_ENTRIES] __attribute__((aligned(4096)));
static uint32_t rtas_words[32] __attribute__((aligned(64)));
static char line[256];

static inline uint64_t now(void)
{
    uint64_t ticks;

    asm volatile("mfspr %0, 268" : "=r"(ticks));
    return ticks;
}

static void wait(uint64_t ticks)
{
    const uint64_t start = now();

    while (now() - start < ticks) {
        continue;
    }
}

/* The console */

static void put_chars(const char *text, unsigned length)
{
    while (length) {
        const unsigned n = length < 16 ? length : 16;
        uint64_t regs[6] = { H_PUT_TERM_CHAR, 0, n };

        for (unsigned i = 0; i < n; i++) {
            regs[3 + i / 8] |= (uint64_t)text[i] << (56 - i % 8 * 8);
        }
        /* Anything but success means that the console is busy */
        if (!hypercall(regs)) {
            text += n;
            length -= n;
        }
    }
}

static void put_text(const char *text)
{
    unsigned length = 0;

    while (text[length]) {
        length++;
    }
    put_chars(text, length);
}

static void put_number(uint64_t number)
{
    char text[17] = " ";
    unsigned digits = 1;

    while (digits < 16 && number >> (digits * 4)) {
        digits++;
    }
    for (unsigned i = 0; i < digits; i++) {
        text[digits - i] = "0123456789abcdef"[number >> (i * 4) & 15];
    }
    put_chars(text, digits + 1);
}

static void get_line(void)
{
    static char pending[16];
    static unsigned have, used;
    unsigned length = 0;

    for (;;) {
        uint64_t regs[6] = { H_GET_TERM_CHAR };

        for (; used < have; used++) {
            if (pending[used] == '\n') {
                used++;
                line[length] = 0;
                return;
            }
            if (length < sizeof(line) - 1) {
                line[length++] = pending[used];
            }
        }
        hypercall(regs);        /* how many, and two words of them */
        have = regs[1] > 16 ? 0 : regs[1];
        used = 0;
        for (unsigned i = 0; i < have; i++) {
            pending[i] = regs[2 + i / 8] >> (56 - i % 8 * 8);
        }
        if (!have) {
            wait(POLL_TICKS);
        }
    }
}

/* Commands */

static void call(Account *account, uint64_t *regs)
{
    const uint64_t start = now();
    uint64_t ticks;

    account->status = hypercall(regs);
    ticks = now() - start;
    account->calls++;
    account->ticks += ticks;
    if (ticks > account->max) {
        account->max = ticks;
    }
}

static void answer(const Account *account)
{
    put_text("done");
    put_number(account->calls);
    put_number(account->ticks);
    put_number(account->max);
    put_number(account->status);
}

/* One pair of time stamps for all, so that they do not count */
static void loop(const uint64_t *words)
{
    uint64_t count = words[0], arg2 = words[3], arg3 = words[4], last = 0;
    const uint64_t start = now();
    Account account = { };

    while (account.calls < count && !account.status) {
        uint64_t regs[6] = { words[1], words[2], arg2, arg3, words[5] };

        account.status = hypercall(regs);
        last = regs[1];
        account.calls++;
        arg2 += words[6];
        arg3 += words[7];
    }
    account.ticks = now() - start;
    answer(&account);
    put_number(last);
}

static void map(const uint64_t *words)
{
    const uint64_t count = words[3], mask = words[5] - 1, factor = words[6];
    const uint64_t gpa = words[4] | TCE_READ_WRITE, shift = words[2];
    uint64_t done = 0;
    Account account = { };

    while (done < count && !account.status) {
        uint64_t n = count - done < LIST_ENTRIES ? count - done : LIST_ENTRIES;
        uint64_t regs[6] = { H_PUT_TCE_INDIRECT, words[0],
                             words[1] + (done << shift), (uint64_t)list, n };

        for (uint64_t i = 0; i < n; i++) {
            list[i] = gpa + (((done + i) * factor & mask) << shift);
        }
        call(&account, regs);
        done += n;
    }
    answer(&account);
    put_number(0);
}

static void rtas(const uint64_t *words, unsigned count)
{
    const unsigned returns = words[1], args = count - 2;
    uint64_t regs[6] = { H_RTAS, (uint64_t)rtas_words };
    Account account = { };

    rtas_words[0] = words[0];
    rtas_words[1] = args;
    rtas_words[2] = returns;
    for (unsigned i = 0; i < args; i++) {
        rtas_words[3 + i] = words[2 + i];
    }
    call(&account, regs);
    account.status = (int32_t)rtas_words[3 + args];
    answer(&account);
    for (unsigned i = 1; i < returns; i++) {
        put_number(rtas_words[3 + args + i]);
    }
}

/* The other processor comes here and ends here */
void other_main(void)
{
    static uint32_t stop_self[3] = { RTAS_STOP_SELF };
    uint64_t regs[6] = { H_RTAS, (uint64_t)stop_self };
    const uint64_t *words = other.words, start = now();
    uint64_t arg2 = 0, arg3 = 0;

    while (!__atomic_load_n(&other.stop, __ATOMIC_ACQUIRE)) {
        uint64_t call_regs[6] = { words[0], words[1], words[2] + arg2,
                                  words[3] + arg3, words[4] };
        const long status = hypercall(call_regs);

        if (status) {
            other.status = status;
        } else {
            other.good++;
        }
        arg2 += words[5];
        arg3 += words[6];
        if (++other.calls % words[7] == 0) {
            arg2 = arg3 = 0;
        }
        wait(words[8]);
    }
    other.ticks = now() - start;
    __atomic_store_n(&other.stopped, true, __ATOMIC_RELEASE);
    hypercall(regs);
}

/* Again while the processor is still on its way out of its last job */
static long start_other(uint64_t cpu)
{
    do {
        uint64_t regs[6] = { H_RTAS, (uint64_t)rtas_words };

        rtas_words[0] = RTAS_START_CPU;
        rtas_words[1] = 3;
        rtas_words[2] = 1;
        rtas_words[3] = cpu;
        rtas_words[4] = (uint64_t)other_start;
        rtas_words[5] = 0;
        hypercall(regs);
    } while ((int32_t)rtas_words[6] == RTAS_HARDWARE_ERROR);
    return (int32_t)rtas_words[6];
}

static void behind(const uint64_t *words)
{
    Account account = { };

    for (unsigned i = 0; i < 9; i++) {
        other.words[i] = words[1 + i];
    }
    other.calls = other.good = other.ticks = 0;
    other.status = 0;
    other.stop = other.stopped = false;
    account.status = start_other(words[0]);
    if (account.status) {
        other.stopped = true;
    }
    answer(&account);
}

static void halt(void)
{
    Account account;

    __atomic_store_n(&other.stop, true, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&other.stopped, __ATOMIC_ACQUIRE)) {
        continue;
    }
    account = (Account) { other.calls, other.ticks, other.good, other.status };
    answer(&account);
}

/* Cut the line into a name and numbers; returns how many numbers */
static unsigned parse(uint64_t *words)
{
    unsigned count = 0;

    for (unsigned i = 0; i < MAX_WORDS; i++) {
        words[i] = 0;
    }
    for (const char *c = line; *c; c++) {
        if (*c == ' ') {
            if (count == MAX_WORDS) {
                break;
            }
            words[count++] = 0;
        } else if (count) {
            words[count - 1] = words[count - 1] << 4 |
                               (*c <= '9' ? *c - '0' : *c - 'a' + 10);
        }
    }
    return count;
}

void guest_main(void)
{
    static uint64_t words[MAX_WORDS];

    put_text("ready\n");
    for (;;) {
        unsigned count;

        get_line();
        count = parse(words);
        if (line[0] == 'l' && count == 8) {
            loop(words);
        } else if (line[0] == 'm' && count == 7) {
            map(words);
        } else if (line[0] == 'r' && count > 2) {
            rtas(words, count);
        } else if (line[0] == 'b' && count == 10) {
            behind(words);
        } else if (line[0] == 'h') {
            halt();
        } else if (line[0] == 'p') {
            put_text("pong");
        } else {
            put_text("what?");
        }
        put_text("\n");
    }
}
