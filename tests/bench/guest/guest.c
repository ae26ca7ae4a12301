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
 *   scan LIOBN IOBA SHIFT COUNT
 *       read COUNT entries by H_GET_TCE.  SUM is that of the entries, each
 *       times its number (from 0) twice and one more.
 *       done CALLS TICKS MAX STATUS SUM
 *   behind CPU OP A1 A2 A3 A4 STEP2 STEP3 TURN PAUSE
 *       from now on another processor, CPU, makes such hypercalls as of
 *       loop, with a pause of PAUSE ticks after each, whatever they are
 *       answered.  A2 and A3 start over after each TURN calls.
 *       done 0 0 0 STATUS
 *   storm CPU SEED BRIDGES RATE
 *       from now on another processor, CPU, makes all kinds of calls at
 *       random that have to do with windows of that many PCI host bridges.
 *       One in RATE creates, removes or resets windows, the others read and
 *       change TCEs of what was made last.
 *       done 0 0 0 STATUS
 *   halt CPU
 *       stop that processor, after TICKS in all; GOOD of its calls were
 *       answered 0.  STATUS is the last answer that was not, or 0.  Then
 *       the same for each kind of call of a storm, in the order of Kind.
 *       done CALLS TICKS GOOD STATUS [CALLS GOOD]...
 *
 * TICKS is the time in hypercalls alone, MAX that of the longest, both in
 * units of the timebase, 1/512 of a microsecond.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include "layout.h"

#define H_GET_TCE 0x1c
#define H_PUT_TCE 0x20
#define H_PUT_TERM_CHAR 0x58
#define H_GET_TERM_CHAR 0x54
#define H_STUFF_TCE 0x138
#define H_PUT_TCE_INDIRECT 0x13c
#define H_RTAS 0xf000

#define LIST_ENTRIES 512
#define TCE_READ_WRITE 3
#define POLL_TICKS 512000       /* look for input once in a millisecond */
#define MAX_WORDS 16

#define RTAS_START_CPU 0x2006
#define RTAS_STOP_SELF 0x2007
#define RTAS_CREATE_WINDOW 0x2027
#define RTAS_REMOVE_WINDOW 0x2028
#define RTAS_RESET_WINDOWS 0x2029
#define RTAS_HARDWARE_ERROR -1

#define BRIDGES 2
#define WINDOWS 2
#define BUID_HIGH 0x8000000
#define BUID_LOW 0x20000000
#define FIRST_LIOBN 0x80000000
#define BIG_START (1ULL << 59)

/* What a storm maps: RAM in which nothing lies, and where DIMMs may be */
#define STORM_PAGES 128
#define STORM_ENTRIES 128
#define STORM_SHIFT 16
#define STORM_RAM (128ULL << 20)
#define STORM_RAM_PAGES 2048
#define STORM_ALL_PAGES 14336

typedef struct {
    uint64_t calls, ticks, max;
    long status;
} Account;

typedef enum {
    PUT, PUT_INDIRECT, STUFF, GET, CREATE, REMOVE, RESET, KINDS
} Kind;

/* What another processor does; it runs from start to end of that */
typedef struct {
    uint64_t words[9];          /* OP A1 A2 A3 A4 STEP2 STEP3 TURN PAUSE */
    uint64_t calls, good, ticks;
    uint64_t kinds[KINDS][2];
    uint64_t random;            /* of a storm, else 0 */
    uint64_t bridges, rate;
    long status;
    bool stop, runs;
} Other;

/* A window, as it was made last */
typedef struct {
    uint64_t start;
    unsigned shift;
} Place;

static Other others[PROCESSORS];
static uint64_t lists[PROCESSORS][LIST_ENTRIES] __attribute__((aligned(4096)));
static uint32_t rtas_words[PROCESSORS][32] __attribute__((aligned(128)));
static Place places[BRIDGES][WINDOWS] = {
    { { 0, 12 }, { BIG_START, 16 } }, { { 0, 12 }, { BIG_START, 16 } }
};
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
    uint64_t *list = lists[0], done = 0;
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

/* The entries must not change meanwhile */
static void scan(const uint64_t *words)
{
    uint64_t sum = 0;
    Account account = { };

    while (account.calls < words[3] && !account.status) {
        const uint64_t i = account.calls;
        uint64_t regs[6] = { H_GET_TCE, words[0], words[1] + (i << words[2]) };

        call(&account, regs);
        sum += regs[1] * (2 * i + 1);
    }
    answer(&account);
    put_number(sum);
}

/* Where is a window now, if that call has made it? */
static void note_places(const uint32_t *words)
{
    const bool creates = words[0] == RTAS_CREATE_WINDOW;
    const uint32_t bridge = words[5] - BUID_LOW;
    const uint32_t *returns = words + 3 + words[1];

    if ((creates || words[0] == RTAS_RESET_WINDOWS) && !returns[0] &&
        bridge < BRIDGES) {
        places[bridge][creates ? returns[1] % WINDOWS : 0] = creates ?
            (Place) { (uint64_t)returns[2] << 32 | returns[3], words[6] } :
            (Place) { 0, 12 };
    }
}

/* Have a processor make an RTAS call; what returns is in its rtas_words */
static int32_t rtas_call(Account *account, unsigned cpu, uint32_t token,
                         unsigned returns, unsigned args,
                         const uint64_t *values)
{
    uint32_t *words = rtas_words[cpu];
    uint64_t regs[6] = { H_RTAS, (uint64_t)words };

    words[0] = token;
    words[1] = args;
    words[2] = returns;
    for (unsigned i = 0; i < args; i++) {
        words[3 + i] = values[i];
    }
    call(account, regs);
    note_places(words);
    return words[3 + args];
}

static void rtas(const uint64_t *words, unsigned count)
{
    const unsigned returns = words[1], args = count - 2;
    Account account = { };

    account.status = rtas_call(&account, 0, words[0], returns, args,
                               words + 2);
    answer(&account);
    for (unsigned i = 1; i < returns; i++) {
        put_number(rtas_words[0][3 + args + i]);
    }
}

/* Other processors */

static void account_other(Other *other, long status)
{
    other->calls++;
    if (status) {
        other->status = status;
    } else {
        other->good++;
    }
}

static void repeat(Other *other)
{
    const uint64_t *words = other->words;
    uint64_t arg2 = 0, arg3 = 0;

    while (!__atomic_load_n(&other->stop, __ATOMIC_ACQUIRE)) {
        uint64_t regs[6] = { words[0], words[1], words[2] + arg2,
                             words[3] + arg3, words[4] };

        account_other(other, hypercall(regs));
        arg2 += words[5];
        arg3 += words[6];
        if (other->calls % words[7] == 0) {
            arg2 = arg3 = 0;
        }
        wait(words[8]);
    }
}

/* Less than @below, by a xorshift generator */
static uint64_t draw(Other *other, uint64_t below)
{
    other->random ^= other->random << 13;
    other->random ^= other->random >> 7;
    other->random ^= other->random << 17;
    return (other->random >> 11) % below;
}

static uint64_t draw_tce(Other *other)
{
    const uint64_t pages = draw(other, 4) ? STORM_RAM_PAGES : STORM_ALL_PAGES;

    return STORM_RAM + (draw(other, pages) << STORM_SHIFT) +
           1 + draw(other, TCE_READ_WRITE);
}

static long storm_tces(Other *other, unsigned cpu, Kind kind)
{
    static const uint64_t ops[] = {
        [PUT] = H_PUT_TCE, [PUT_INDIRECT] = H_PUT_TCE_INDIRECT,
        [STUFF] = H_STUFF_TCE, [GET] = H_GET_TCE
    };
    const unsigned bridge = draw(other, other->bridges);
    const unsigned number = draw(other, WINDOWS);
    const Place place = places[bridge][number];
    const uint64_t count = 1 + draw(other, draw(other, 8) ? 16 :
                                          STORM_ENTRIES);
    uint64_t *list = lists[cpu], tce = draw_tce(other);
    uint64_t regs[6] = {
        ops[kind], FIRST_LIOBN + (bridge << 8) + number,
        place.start + (draw(other, STORM_PAGES) << place.shift)
    };

    if (kind == PUT) {
        regs[3] = draw(other, 4) ? tce : 0;
    } else if (kind == PUT_INDIRECT) {
        for (unsigned i = 0; i < count; i++) {
            list[i] = tce;
            /* Right in any window, should this be another one by now */
            tce = draw(other, 16) ? tce + (1ULL << STORM_SHIFT) :
                  draw_tce(other);
        }
        regs[3] = (uint64_t)list;
        regs[4] = count;
    } else if (kind == STUFF) {
        regs[3] = draw(other, 2) ? tce : 0;
        regs[4] = count;
    }
    return hypercall(regs);
}

static long storm_windows(Other *other, unsigned cpu, Kind kind)
{
    const uint64_t bridge = draw(other, other->bridges);
    const uint64_t shift = draw(other, 2) ? 12 : 16;
    const uint64_t liobn = FIRST_LIOBN + (bridge << 8) +
                           (draw(other, 4) ? 1 : 0);
    uint64_t args[5] = { 0, BUID_HIGH, BUID_LOW + bridge };
    Account account = { };

    switch (kind) {
    case CREATE:
        args[3] = shift;
        args[4] = shift + 12 + draw(other, 4);
        return rtas_call(&account, cpu, RTAS_CREATE_WINDOW, 4, 5, args);
    case REMOVE:
        return rtas_call(&account, cpu, RTAS_REMOVE_WINDOW, 1, 1, &liobn);
    default:
        args[3] = 1;            /* limited-address mode */
        return rtas_call(&account, cpu, RTAS_RESET_WINDOWS, 1,
                         draw(other, 4) ? 3 : 4, args);
    }
}

static void storm(Other *other, unsigned cpu)
{
    static const Kind tces[] = { PUT, PUT, PUT, PUT_INDIRECT, PUT_INDIRECT,
                                 STUFF, GET, GET };
    static const Kind windows[] = { CREATE, CREATE, CREATE, CREATE,
                                    REMOVE, REMOVE, REMOVE, RESET };

    while (!__atomic_load_n(&other->stop, __ATOMIC_ACQUIRE)) {
        const bool rare = !draw(other, other->rate);
        const Kind kind = (rare ? windows : tces)[draw(other, 8)];
        const long status = rare ? storm_windows(other, cpu, kind) :
                            storm_tces(other, cpu, kind);

        account_other(other, status);
        other->kinds[kind][0]++;
        other->kinds[kind][1] += !status;
    }
}

/* Another processor comes here and ends here */
void other_main(uint64_t cpu)
{
    const uint64_t start = now();
    Other *other = &others[cpu];
    Account account = { };

    if (other->random) {
        storm(other, cpu);
    } else {
        repeat(other);
    }
    other->ticks = now() - start;
    __atomic_store_n(&other->runs, false, __ATOMIC_RELEASE);
    rtas_call(&account, cpu, RTAS_STOP_SELF, 0, 0, NULL);
}

/* Again while the processor is still on its way out of its last job */
static void start_other(uint64_t cpu)
{
    const uint64_t args[] = { cpu, (uint64_t)other_start, cpu };
    Other *other = &others[cpu];
    Account account = { };

    other->calls = other->good = other->ticks = 0;
    other->status = 0;
    for (unsigned i = 0; i < KINDS; i++) {
        other->kinds[i][0] = other->kinds[i][1] = 0;
    }
    other->stop = false;
    other->runs = true;
    do {
        account.status = rtas_call(&account, 0, RTAS_START_CPU, 1, 3, args);
    } while (account.status == RTAS_HARDWARE_ERROR);
    if (account.status) {
        other->runs = false;
    }
    account = (Account) { .status = account.status };
    answer(&account);
}

static void behind(const uint64_t *words)
{
    Other *other = &others[words[0]];

    for (unsigned i = 0; i < 9; i++) {
        other->words[i] = words[1 + i];
    }
    other->random = 0;
    start_other(words[0]);
}

static void start_storm(const uint64_t *words)
{
    Other *other = &others[words[0]];

    other->random = words[1];
    other->bridges = words[2];
    other->rate = words[3];
    start_other(words[0]);
}

static void halt(uint64_t cpu)
{
    Other *other = &others[cpu];
    Account account;

    __atomic_store_n(&other->stop, true, __ATOMIC_RELEASE);
    while (__atomic_load_n(&other->runs, __ATOMIC_ACQUIRE)) {
        continue;
    }
    account = (Account) { other->calls, other->ticks, other->good,
                          other->status };
    answer(&account);
    for (unsigned i = 0; i < KINDS; i++) {
        put_number(other->kinds[i][0]);
        put_number(other->kinds[i][1]);
    }
}

static bool is_other(uint64_t cpu)
{
    return cpu && cpu < PROCESSORS;
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
        } else if (line[0] == 's' && line[1] == 'c' && count == 4) {
            scan(words);
        } else if (line[0] == 's' && count == 4 && is_other(words[0])) {
            start_storm(words);
        } else if (line[0] == 'b' && count == 10 && is_other(words[0])) {
            behind(words);
        } else if (line[0] == 'h' && count == 1 && is_other(words[0])) {
            halt(words[0]);
        } else if (line[0] == 'p') {
            put_text("pong");
        } else {
            put_text("what?");
        }
        put_text("\n");
    }
}
