/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What profile.c and hcalls.c use of QEMU's interface to plugins, version 1.
 */
#ifndef SPAPR_TCE_PLUGIN_H
#define SPAPR_TCE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT		__attribute__((visibility("default")))

struct qemu_plugin_insn;
struct qemu_plugin_tb;

EXPORT int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*cb)(uint64_t id,
						      struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int cpu, void *data),
					  int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id,
				    void (*cb)(uint64_t id, void *data),
				    void *data);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define NO_REGS		0	/* the callback looks at none */

/* The value of an argument "key=value", or NULL when it is another one. */
static inline const char *value(const char *arg, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(arg, key, len) && arg[len] == '=' ? arg + len + 1 : NULL;
}

#endif
