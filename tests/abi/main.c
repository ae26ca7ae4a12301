/*
 * The VFIO interface of a host, asked call by call: the program
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "abi.h"

Host host;

static const char usage[] =
    "usage: abi-test [--page BYTES] [--spare] [--seed N --random COUNT]\n"
    "                DEVICE...\n"
    "\n"
    "  DEVICE          PCI address under vfio-pci, each in its own group\n"
    "  --page BYTES    page size of the host, if it is not ours\n"
    "  --spare         spare the host what takes some hosts hours\n"
    "  --random COUNT  print the transcript of COUNT random calls instead\n"
    "  --seed N        of the random calls (default 1)\n";

static bool add_device(const char *name)
{
    char path[80], target[256];
    const char *slash;
    ssize_t length;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
             name);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0 || host.count == MAX_DEVICES) {
        return false;
    }
    target[length] = 0;
    slash = strrchr(target, '/');
    host.devices[host.count] = name;
    host.groups[host.count++] = atoi(slash ? slash + 1 : target);
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "page", required_argument, NULL, 'p' },
        { "random", required_argument, NULL, 'r' },
        { "seed", required_argument, NULL, 's' },
        { "spare", no_argument, NULL, 'h' },
        { NULL }
    };
    unsigned long seed = 1, random = 0;
    int option;

    host.page = getauxval(AT_PAGESZ);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p':
            host.page = atol(optarg);
            break;
        case 'r':
            random = atol(optarg);
            break;
        case 's':
            seed = atol(optarg);
            break;
        case 'h':
            host.spare = true;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    while (optind < argc && add_device(argv[optind])) {
        optind++;
    }
    if (optind < argc || !host.count) {
        fputs(usage, stderr);
        return 2;
    }
    if (!find_info()) {
        printf("1..0 # SKIP no dynamic windows on this host\n");
        return 0;
    }
    if (random) {
        random_sequence(seed, random);
        return 0;
    }
    core_cases();
    memory_cases();
    map_cases();
    limit_cases();
    group_cases();
    v1_cases();
    device_cases();
    eeh_cases();
    window_cases();     /* the last, a partition is spoilt by them */
    return finish();
}
