// SPDX-License-Identifier: GPL-2.0-only
/*
 * Real mode in the middle of what others do to the same table.
 */
#include "kvm-unit.h"

static unsigned int intruder_hcall;
static unsigned long intruder_args[4];

/* Who is refused tries again, which must change nothing */
static void intrude_in_real_mode(void)
{
	int tries = 2;

	do {
		raced_answer = kvm_hcall(raced_vcpu, KVM_REAL, intruder_hcall,
					 intruder_args[0], intruder_args[1],
					 intruder_args[2], intruder_args[3]);
	} while (raced_answer == H_TOO_HARD && --tries);
}

enum raced_request {
	RACED_MAP,
	RACED_UNMAP,
	RACED_CLOSE,
	RACED_PUT,
	RACED_LIST,
	RACED_STUFF,
	RACED_REQUESTS,
};

static long raced_request(struct host_container *c, struct kvm_vcpu *vcpu,
			  enum raced_request what)
{
	switch (what) {
	case RACED_MAP:
		return req_map(c, 0, UA(8), max(16 * P4, PG), RW);
	case RACED_UNMAP:
		return req_unmap(c, 0, 16 * PG);
	case RACED_CLOSE:
		return req_remove(c, 0);
	case RACED_PUT:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE, LIOBN, 2 * P4,
				 GPA(3) | TCE_RW, 0);
	case RACED_LIST:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN,
				 0, GPA_LIST, 16);
	default:
		return kvm_hcall(vcpu, KVM_VIRTUAL, H_STUFF_TCE, LIOBN, 0, 0, 16);
	}
}

TEST_F(kvm, real_mode_in_the_middle)
{
	static const unsigned long intruders[][5] = {
		{ H_PUT_TCE, LIOBN, 2 * P4, GPA(5) | TCE_RW },
		{ H_PUT_TCE, LIOBN, 2 * P4, 0 },
		{ H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 16 },
		{ H_STUFF_TCE, LIOBN, 0, 0, 16 },
	};
	unsigned int answers[2] = { 0 }, k, before;
	enum raced_request what;
	int n;

	PREPARE();
	raced_vcpu = kvm_vcpu_create(self->kvm);
	kvm_hcall(raced_vcpu, KVM_VIRTUAL, H_PUT_TCE_INDIRECT, LIOBN, 0, GPA_LIST, 1);
	raced_action = intrude_in_real_mode;
	for (what = 0; what < RACED_REQUESTS; what++) {
		for (k = 0; k < 2 * ARRAY_SIZE(intruders); k++) {
			intruder_hcall = intruders[k / 2][0];
			memcpy(intruder_args, intruders[k / 2] + 1,
			       sizeof(intruder_args));
			for (n = 0; n < 100; n++) {
				prepare_for_real_mode(self->kvm, self->vcpu,
						      self->fds[0], PHB3);
				write_list(self->kvm, GPA_LIST, GPA(4) | TCE_RW,
					   P4, 16);
				for (before = 0; before < k % 2; before++)
					raced_request(self->c, self->vcpu, RACED_LIST);
				locks_before = n;
				host_preempt = intrude;
				EXPECT_EQ(raced_request(self->c, self->vcpu, what), 0);
				if (host_preempt)
					break;
				/* With VFIO's maps the guest has nothing to do */
				if (what >= RACED_PUT)
					check_mirrors(self->kvm);
				/* Whatever was too hard is done now */
				if (raced_answer == H_TOO_HARD)
					kvm_hcall(raced_vcpu, KVM_VIRTUAL,
						  intruder_hcall,
						  intruder_args[0],
						  intruder_args[1],
						  intruder_args[2],
						  intruder_args[3]);
				answers[raced_answer == H_TOO_HARD]++;
				world_check();
				if (what == RACED_CLOSE)
					EXPECT_EQ(req_create(self->c, 12,
							     NR_TCES * P4, 1, NULL), 0);
			}
			host_preempt = NULL;
			EXPECT_GT(n, 1);
			if (what == RACED_CLOSE)
				EXPECT_EQ(req_create(self->c, 12, NR_TCES * P4,
						     1, NULL), 0);
		}
	}
	EXPECT_GT(answers[0], 20);
	EXPECT_GT(answers[1], 20);
	kvm_vcpu_destroy(raced_vcpu);
}

/* Virtual mode owns the guest's table while it allocates */
TEST_F(kvm, real_mode_while_virtual_mode_sleeps)
{
	unsigned int refused = 0;
	int n;

	PREPARE();
	raced_vcpu = kvm_vcpu_create(self->kvm);
	raced_action = intrude_in_real_mode;
	intruder_hcall = H_PUT_TCE;
	intruder_args[0] = LIOBN;
	intruder_args[1] = 0;
	intruder_args[2] = GPA(5) | TCE_RW;
	for (n = 0; !host_preempt; n++) {
		locks_before = n;
		host_preempt = intrude;
		EXPECT_EQ(kvm_hcall(self->vcpu, KVM_VIRTUAL, H_PUT_TCE, LIOBN,
				    P4, GPA(1) | TCE_RW, 0), 0);
		if (host_preempt)
			break;
		CHECK();
		refused += raced_answer == H_TOO_HARD;
		EXPECT_EQ(STUFF(LIOBN, 0, 0, 2), 0);
	}
	host_preempt = NULL;
	/* It comes in time only before virtual mode has begun */
	EXPECT_EQ(refused, (unsigned int)n - 1);
	kvm_vcpu_destroy(raced_vcpu);
}

static struct tce_lock *kept_lock;
static unsigned int waits;

/* Another thread takes a lock, with interrupts off there */
static bool keep(struct tce_lock *lock)
{
	unsigned long flags;
	bool kept;

	local_irq_save(flags);
	kept = tce_trylock_rm(lock);
	local_irq_restore(flags);

	return kept;
}

static void let_go(void)
{
	waits++;
	tce_unlock_rm(kept_lock);
}

/* ... and waits for what real mode has begun with a hardware table */
TEST_F(kvm, virtual_mode_waits_for_real_mode)
{
	enum raced_request what;

	prepare_for_real_mode(self->kvm, self->vcpu, self->fds[0], PHB3);
	write_list(self->kvm, GPA_LIST, GPA(4) | TCE_RW, P4, 16);
	kept_lock = &window_of(self->c)->it_user->lock;
	for (what = 0; what < RACED_REQUESTS; what++) {
		if (what == RACED_CLOSE)
			continue;
		waits = 0;
		EXPECT_TRUE(keep(kept_lock));
		host_waits = let_go;
		EXPECT_EQ(raced_request(self->c, self->vcpu, what), 0);
		host_waits = NULL;
		EXPECT_EQ(waits, 1);
		EXPECT_EQ(kept_lock->word, 0);
	}
}

/* Who does not sleep waits for another one who does not */
TEST_F(kvm, real_mode_waits_for_real_mode)
{
	unsigned int table;
	int idx;

	PREPARE();
	for (table = 0; table < 2; table++) {
		idx = srcu_read_lock(&self->kvm->srcu);
		kept_lock = table ? &window_of(self->c)->it_user->lock :
			    glue_kvm_lock(self->kvm, LIOBN);
		srcu_read_unlock(&self->kvm->srcu, idx);
		waits = 0;
		EXPECT_TRUE(keep(kept_lock));
		host_waits = let_go;
		EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, table * P4,
					  GPA(1) | TCE_RW, 0));
		host_waits = NULL;
		EXPECT_EQ(waits, 1);
		EXPECT_EQ(kept_lock->word, 0);
	}
	/* Nor for one that may sleep, a list neither */
	idx = srcu_read_lock(&self->kvm->srcu);
	kept_lock = glue_kvm_lock(self->kvm, LIOBN);
	srcu_read_unlock(&self->kvm->srcu, idx);
	write_list(self->kvm, GPA_LIST, GPA(1) | TCE_RW, 0, 4);
	tce_lock(kept_lock);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE_INDIRECT, LIOBN, 8 * P4, GPA_LIST, 4),
		  H_TOO_HARD);
	tce_unlock(kept_lock);
	EXPECT_FAULTS(PHB3, 8 * P4);
}

/* Of two tables the first is waited for and the second only tried */
TEST_F(kvm, real_mode_tries_the_second_table)
{
	struct tce_lock *first, *second, *guest;
	int idx;

	PREPARE();
	furnish(self->c + 1, PHB3_OTHER);
	EXPECT_WORKS(attach(self->kvm, self->fds[0], PHB3_OTHER));
	EXPECT_WORKS(PUT(LIOBN, 0, GPA(1) | TCE_RW));
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 1));
	idx = srcu_read_lock(&self->kvm->srcu);
	guest = glue_kvm_lock(self->kvm, LIOBN);
	srcu_read_unlock(&self->kvm->srcu, idx);
	/* The group that came last is the first one of the list */
	first = &window_of(self->c + 1)->it_user->lock;
	second = &window_of(self->c)->it_user->lock;

	kept_lock = first;
	waits = 0;
	EXPECT_TRUE(keep(first));
	host_waits = let_go;
	EXPECT_WORKS(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0));
	host_waits = NULL;
	EXPECT_EQ(waits, 1);
	EXPECT_WORKS(IN_REAL_MODE(H_STUFF_TCE, LIOBN, 0, 0, 1));

	EXPECT_TRUE(keep(second));
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0), H_TOO_HARD);
	EXPECT_EQ(second->word, TCE_LOCK_SPINS);
	EXPECT_EQ(first->word, 0);
	EXPECT_EQ(guest->word, 0);
	tce_unlock_rm(second);

	/* An owner of the first that may sleep keeps its lock, too */
	tce_lock(first);
	EXPECT_EQ(IN_REAL_MODE(H_PUT_TCE, LIOBN, 0, GPA(1) | TCE_RW, 0), H_TOO_HARD);
	EXPECT_EQ(first->word, TCE_LOCK_SLEEPS);
	EXPECT_EQ(second->word, 0);
	EXPECT_EQ(guest->word, 0);
	tce_unlock(first);
	EXPECT_FAULTS(PHB3, 0);
	EXPECT_FAULTS(PHB3_OTHER, 0);
}
