/* Counts the instructions of an aarch64 program between two marks, by class.
 *
 * A plugin for QEMU's user emulation. QEMU ships no header with its packages, so the few functions
 * of its plugin API that are used are declared here (docs/devel/tcg-plugins of QEMU).
 *
 *   qemu-aarch64 -plugin counter.so,out=FILE PROGRAM ...
 *
 * The program marks a region by system calls that fail and do nothing: lseek(999, MARK + 1, 0)
 * where it begins and lseek(999, MARK + 2, 0) where it ends. FILE gets the classes' names in its
 * first line and a line of counts for each region, in order.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 is QEMU 5 to 8.2; since version 3 (QEMU 9.1) an instruction's bytes are copied out. */
#ifndef PLUGIN_API
#define PLUGIN_API 1
#endif

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info;
enum { NO_REGISTERS = 0 };

typedef void on_translate_t(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void on_execute_t(unsigned int cpu, void *data);
typedef void on_syscall_t(qemu_plugin_id_t, unsigned int cpu, int64_t number, uint64_t a1,
                          uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                          uint64_t a7, uint64_t a8);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, on_translate_t *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, on_execute_t *, int registers,
                                          void *data);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, on_syscall_t *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t place);
#if PLUGIN_API < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *into, size_t size);
#endif

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = PLUGIN_API;

enum { LSEEK = 62, NO_FILE = 999, MARK = 0xED0000, BEGIN = MARK + 1, END = MARK + 2 };

enum class { ALL, SDOT, SMMLA, SMLAL, FMLA, LOADS_STORES, CLASSES };
static const char *const names[CLASSES] = {"all", "sdot", "smmla", "smlal", "fmla", "loads_stores"};

/* Arm Architecture Reference Manual, C4.1: an instruction belongs to the first row whose bits it
 * has. Signed and unsigned, vector by vector and vector by element count as one. */
static const struct {
    uint32_t mask, bits;
    enum class class;
} encodings[] = {
    {0x9FE0FC00, 0x0E809400, SDOT},         /* sdot, udot by vector */
    {0x9FC0F400, 0x0F80E000, SDOT},         /* by element */
    {0xDFE0FC00, 0x4E80A400, SMMLA},        /* smmla, ummla */
    {0x9F20FC00, 0x0E208000, SMLAL},        /* smlal, smlal2, umlal by vector */
    {0x9F00F400, 0x0F002000, SMLAL},        /* by element */
    {0x9F20FC00, 0x0E20C000, SMLAL},        /* smull, which begins a sum, by vector */
    {0x9F00F400, 0x0F00A000, SMLAL},        /* by element */
    {0xBFA0FC00, 0x0E20CC00, FMLA},         /* single and double by vector */
    {0xBF80F400, 0x0F801000, FMLA},         /* by element */
    {0xBFE0FC00, 0x0E400C00, FMLA},         /* half by vector */
    {0xBFC0F400, 0x0F001000, FMLA},         /* by element */
    {0x0A000000, 0x08000000, LOADS_STORES}, /* op0 of the main encoding table is x1x0 */
};

/* What one run of a translated block adds. */
struct block {
    uint32_t counts[CLASSES];
};

static FILE *out;
static int counting;
static uint64_t counts[CLASSES];

static uint32_t encoding_of(const struct qemu_plugin_insn *insn)
{
    uint32_t bits;
#if PLUGIN_API < 3
    memcpy(&bits, qemu_plugin_insn_data(insn), sizeof bits);
#else
    qemu_plugin_insn_data(insn, &bits, sizeof bits);
#endif
    return bits;
}

static enum class class_of(uint32_t bits)
{
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if ((bits & encodings[i].mask) == encodings[i].bits)
            return encodings[i].class;
    return ALL;
}

static void on_execute(unsigned int cpu, void *data)
{
    (void)cpu;
    if (!counting)
        return;
    const struct block *block = data;
    for (int i = 0; i < CLASSES; i++)
        __atomic_fetch_add(&counts[i], block->counts[i], __ATOMIC_RELAXED);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    /* Lives as long as QEMU may run the block, that is to the end. */
    struct block *block = calloc(1, sizeof *block);
    if (!block)
        abort();
    size_t length = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < length; i++) {
        enum class class = class_of(encoding_of(qemu_plugin_tb_get_insn(tb, i)));
        if (class != ALL)
            block->counts[class]++;
    }
    block->counts[ALL] = (uint32_t)length;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execute, NO_REGISTERS, block);
}

static void write_line(void)
{
    for (int i = 0; i < CLASSES; i++)
        fprintf(out, "%llu%c", (unsigned long long)counts[i], i + 1 < CLASSES ? ' ' : '\n');
    fflush(out);
}

static void on_syscall(qemu_plugin_id_t id, unsigned int cpu, int64_t number, uint64_t a1,
                       uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6,
                       uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != LSEEK || a1 != NO_FILE)
        return;
    if (a2 == BEGIN)
        memset(counts, 0, sizeof counts);
    if (a2 == END && counting)
        write_line();
    counting = a2 == BEGIN;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
                               char **argv)
{
    (void)info;
    if (argc != 1 || strncmp(argv[0], "out=", 4) != 0 || !(out = fopen(argv[0] + 4, "w"))) {
        fprintf(stderr, "counter: wants out=FILE, a file that can be written\n");
        return 1;
    }
    for (int i = 0; i < CLASSES; i++)
        fprintf(out, "%s%c", names[i], i + 1 < CLASSES ? ' ' : '\n');
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    return 0;
}
