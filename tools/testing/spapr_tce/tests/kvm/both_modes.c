// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real mode, and what is too hard for it in virtual mode, is the same as virtual
 * mode alone.
 */
#include "kvm-unit.h"

#define SCRIPT_STEPS	400

struct script_step {
	u64 state;
	u64 tce;
	long answer;
	unsigned long charged;
};

static unsigned int pick(unsigned int *seed, unsigned int below)
{
	*seed = *seed * 1103515245 + 12345;

	return (*seed >> 12) % below;
}

/* What is in tables and regions, but no address of the host */
static void digest_one(struct host_pe *hpe, unsigned int window,
		       unsigned int shift, unsigned long index,
		       unsigned long tce, void *priv)
{
	u64 *digest = priv;
	unsigned long held;

	if (tce >= HOST_LINEAR_OFFSET)
		return;
	held = machine_shadow(hpe->pe.table_group.tables[window], index);
	*digest = (*digest ^ (hpe->pe.pe_number + (index << shift))) * 0x100000001b3UL;
	*digest = (*digest ^ tce) * 0x100000001b3UL;
	*digest = (*digest ^ held) * 0x100000001b3UL + (*digest >> 29);
}

static u64 comparable(struct mm_struct *mm)
{
	static struct host_region regions[64];
	u64 digest = host_usage.level_bytes;
	unsigned long nr, i;

	for (i = 0; i < HOST_PES; i++)
		machine_visit_tces(host_pes + i, digest_one, &digest);
	nr = glue_regions(mm, regions, 64);
	for (i = 0; i < nr; i++)
		digest = (digest ^ (regions[i].ua + regions[i].mapped)) *
			0x100000001b3UL;

	return digest ^ host_usage.pins;
}

static unsigned long script_gpa(unsigned int *seed)
{
	static const unsigned long starts[] = {
		0, GPA(250), GPA_REGION_2, GPA_HUGE, GPA_HUGE, GPA_STRANGE,
	};
	unsigned int kind = pick(seed, 40);

	if (kind == 0)
		return GPA_NOTHING;
	if (kind == 1)
		return 0x800;

	return starts[pick(seed, ARRAY_SIZE(starts) - !!pick(seed, 8))] +
		(unsigned long)pick(seed, 32) * P4;
}

static u64 script_tce(unsigned int *seed)
{
	unsigned long gpa = script_gpa(seed);

	if (!pick(seed, 12))
		return pick(seed, 2) ? 0 : 0x7000;

	return gpa | (pick(seed, 3) ? TCE_RW : 1 + pick(seed, 2));
}

/* The same requests for the same @seed, whatever the mode */
static void script(struct kvm *kvm, struct kvm_vcpu *vcpu, enum kvm_mode mode,
		   struct host_container *c, unsigned int seed,
		   struct script_step *steps)
{
	unsigned long liobn, ioba, nr, i;
	struct script_step *step;
	unsigned int what;
	u64 tce;

	for (step = steps; step < steps + SCRIPT_STEPS; step++) {
		what = pick(&seed, 20);
		liobn = LIOBN + pick(&seed, 3);
		ioba = liobn == LIOBN ? pick(&seed, 1030) * P4 :
			pick(&seed, 40) * K64;
		if (!pick(&seed, 50))
			ioba += pick(&seed, 2) ? 8 : NR_TCES * P4;
		nr = 1 + pick(&seed, pick(&seed, 4) ? 16 : 512);
		step->tce = 0;
		step->answer = 0;
		tce = script_tce(&seed);
		switch (what) {
		case 0 ... 6:
			step->answer = kvm_hcall(vcpu, mode, H_PUT_TCE, liobn,
						 ioba, tce, 0);
			break;
		case 7 ... 11:
			write_list(kvm, GPA_LIST, tce, P4, nr);
			for (i = pick(&seed, 4); i; i--)
				write_one(kvm, GPA_LIST, pick(&seed, nr),
					  script_tce(&seed));
			step->answer = kvm_hcall(vcpu, mode, H_PUT_TCE_INDIRECT,
						 liobn, ioba, GPA_LIST, nr);
			break;
		case 12 ... 15:
			step->answer = kvm_hcall(vcpu, mode, H_STUFF_TCE, liobn,
						 ioba, pick(&seed, 3) ? 0 : tce, nr);
			break;
		case 16:
			/* A container that has a part in it comes or goes */
			if (c[1].data)
				vfio_close(c + 1);
			else
				furnish(c + 1, PHB3_OTHER);
			break;
		case 17:
			req_register(c + 1, UA(UA_MEDIUM), 512 * PG);
			break;
		case 18:
			if (pick(&seed, 2))
				req_map(c, 0, UA(16), 4 * PG, RW);
			else
				req_unmap(c, 0, 16 * PG);
			break;
		}
		if (!kvm_hcall(vcpu, mode, H_GET_TCE, liobn, ioba, 0, 0))
			step->tce = vcpu->arch.gpr[4];
		world_check();
		step->state = comparable(kvm->mm);
		step->charged = kvm->mm->locked_vm;
	}
}

TEST_F_TIMEOUT(kvm, same_in_both_modes, 120)
{
	static struct script_step steps[2][SCRIPT_STEPS];
	struct kvm_vcpu *vcpu;
	struct mm_struct *mm;
	unsigned int seed, i;
	struct kvm *kvm;
	int fds[3], k;

	/* Of the fixture nothing is wanted */
	for (seed = 0; seed < 4; seed++) {
		for (k = 0; k < 2; k++) {
			kvm_vcpu_destroy(self->vcpu);
			kvm_close(self->fds[0]);
			kvm_put_kvm(self->kvm);
			vfio_close(self->c);
			host_settle();
			mm_destroy(self->mm);
			mm_destroy(self->other);
			world_check();

			mm = mm_create(1UL << 40);
			self->mm = mm;
			self->other = mm_create(1UL << 40);
			current->mm = mm;
			furnish(self->c, PHB3);
			req_register(self->c, UA(0), 256 * PG);
			req_register(self->c, UA(UA_CONTIGUOUS), 256 * PG);
			req_register(self->c, UA(UA_HUGE), 512 * PG);
			kvm = kvm_create();
			set_up_guest(kvm);
			vcpu = kvm_vcpu_create(kvm);
			fds[0] = create_table(kvm, LIOBN, 12, 0, NR_TCES);
			fds[1] = create_table(kvm, LIOBN + 1, 16, 0, NR_TCES / 16);
			fds[2] = create_table(kvm, LIOBN + 2, 16, 0, NR_TCES / 16);
			attach(kvm, fds[0], PHB3);
			attach(kvm, fds[1], PHB3);
			script(kvm, vcpu, k ? variant->mode : KVM_VIRTUAL,
			       self->c, seed, steps[k]);
			kvm_close(fds[1]);
			kvm_close(fds[2]);
			vfio_close(self->c + 1);
			self->kvm = kvm;
			self->vcpu = vcpu;
			self->fds[0] = fds[0];
		}
		for (i = 0; i < SCRIPT_STEPS; i++) {
			ASSERT_EQ(steps[0][i].answer, steps[1][i].answer)
				TH_LOG("seed %u, step %u", seed, i);
			ASSERT_EQ(steps[0][i].tce, steps[1][i].tce);
			ASSERT_EQ(steps[0][i].charged, steps[1][i].charged)
				TH_LOG("seed %u, step %u", seed, i);
			ASSERT_EQ(steps[0][i].state, steps[1][i].state)
				TH_LOG("seed %u, step %u", seed, i);
		}
	}
}
