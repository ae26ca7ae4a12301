/*
 * EEH with several groups and containers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "spapr-vfio-common.h"

/* VFIO and PAPR: states of a PE */
enum {
    PE_NORMAL = 0,
    PE_RESET = 1,
    PE_STOPPED = 2,
};

static int32_t eeh_state(SpaprDmaTest *t, uint32_t *state)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid };
    uint32_t ret[8];

    *state = RTAS_UNTOUCHED;
    spapr_rtas(t, "ibm,read-slot-reset-state2", 3, args, 4, ret);
    *state = ret[1];
    return ret[0];
}

static void assert_eeh_state(SpaprDmaTest *t, uint32_t expected)
{
    uint32_t state;

    g_assert_cmpint(eeh_state(t, &state), ==, RTAS_OK);
    g_assert_cmpuint(state, ==, expected);
}

static int32_t eeh_reset(SpaprDmaTest *t, uint32_t option)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid, option };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,set-slot-reset", 4, args, 1, ret);
}

static int32_t eeh_option(SpaprDmaTest *t, uint32_t option)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid, option };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,set-eeh-option", 4, args, 1, ret);
}

static int32_t eeh_configure(SpaprDmaTest *t)
{
    uint32_t args[] = { 1, t->buid >> 32, t->buid };
    uint32_t ret[8];

    return spapr_rtas(t, "ibm,configure-pe", 3, args, 1, ret);
}

static void test_eeh(const void *options)
{
    VfioTest *v = vfio_boot("host flavour=powernv freeze=on\n" TWO,
                            "no-reset-normal", options);

    assert_eeh_state(v->t, PE_NORMAL);
    g_assert_cmpint(eeh_option(v->t, 1), ==, RTAS_OK);
    for (unsigned slot = 1; slot <= 2; slot++) {
        vfio_dma_copy(v, slot, 0, PAGE);
        assert_eeh_state(v->t, PE_STOPPED);
        g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_OK);
        assert_eeh_state(v->t, PE_RESET);
        g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
        g_assert_cmpint(eeh_configure(v->t), ==, RTAS_OK);
        assert_eeh_state(v->t, PE_NORMAL);
    }
    g_assert_cmpint(eeh_reset(v->t, 2), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, 4), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, -1), ==, RTAS_PARAM_ERROR);
    vfio_quit(v);
}

static void test_eeh_refused(void)
{
    VfioTest *v = vfio_boot(POWERNV TWO, "no-reset-normal", VFIO1 VFIO2_V1);
    uint32_t state;

    for (unsigned i = 1; i <= 2; i++) {
        g_autofree char *rule = g_strdup_printf("ioctl=eeh,container=%u,"
                                                "errno=EIO", i);

        vfio_fault(v, rule);
        g_assert_cmpint(eeh_option(v->t, 2), ==, RTAS_HW_ERROR);
        g_assert_cmpint(eeh_reset(v->t, 1), ==, RTAS_HW_ERROR);
        g_assert_cmpint(eeh_configure(v->t), ==, RTAS_PARAM_ERROR);
        g_assert_cmpint(eeh_state(v->t, &state), ==, RTAS_PARAM_ERROR);
        vfio_no_fault(v);
        /* The other one was reset nevertheless */
        assert_eeh_state(v->t, PE_RESET);
        g_assert_cmpint(eeh_reset(v->t, 0), ==, RTAS_OK);
    }
    g_assert_cmpuint(vfio_log_count(v, "refuses EEH"), ==, 1);
    vfio_quit(v);
}

static void test_eeh_absent(void)
{
    VfioTest *v = vfio_boot("host flavour=powernv eeh=off\n" ONE, NULL,
                            VFIO1);
    uint32_t state;

    g_assert_cmpint(eeh_state(v->t, &state), ==, RTAS_PARAM_ERROR);
    g_assert_cmpint(eeh_option(v->t, 1), ==, RTAS_PARAM_ERROR);
    vfio_quit(v);
}

int main(int argc, char **argv)
{
    vfio_test_init(&argc, &argv);

    qtest_add_data_func("spapr-vfio/eeh/C22-one-container", VFIO1 VFIO2,
                        test_eeh);
    qtest_add_data_func("spapr-vfio/eeh/C22-two-containers",
                        VFIO1 VFIO2_V1, test_eeh);
    qtest_add_func("spapr-vfio/eeh/C22-refused", test_eeh_refused);
    qtest_add_func("spapr-vfio/eeh/absent", test_eeh_absent);
    return g_test_run();
}
