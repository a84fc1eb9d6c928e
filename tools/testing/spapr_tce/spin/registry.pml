/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What requests do with the registry and its regions: count, register, unregister.
 * Included by region.pml, which has the state.
 */

inline lock()	{ atomic { !reg_locked -> reg_locked = 1 } }
inline unlock()	{ reg_locked = 0 }

/*
 * Counts
 */

/* region_ref(): atomic64_add_unless(&mem->map_refs, nr, 0) */
inline get(p, r)
{
	atomic {
		HELD(r);
		if
#ifdef BREAK_ADD
		:: p >= NT ->
			mapped[r]++;
			hand[p] = r;
			CHECK(r)
		:: p < NT && mapped[r] > 0 ->
#else
		:: mapped[r] > 0 ->
#endif
			mapped[r]++;
			hand[p] = r;
			CHECK(r)
		:: else -> did("found, but no count to take\n")
		fi
	}
}

/* mm_iommu_unref_range() and region_unref() of what came out of a view, if any */
inline put(p, last)
{
	if
	:: atomic { old[p] != NONE ->
		last = old[p];
		HELD(last);
		/* The range is looked up again */
		assert(S1_freed || tree == last);
#ifdef BREAK_PUT_TWICE
		mapped[last]--;
#endif
		mapped[last]--;
		old[p] = NONE;
		CHECK(last);
		if
		:: mapped[last] == 0 ->
			over[last] = 1;
			did("last count, from a TCE\n")
		:: else -> last = NONE
		fi
	   }
	   if
	   :: last != NONE ->
		/* queue_work(); @last may be looked at: nobody else frees it */
		atomic {
			HELD(last);
			assert(S5_once || !work[last]);
			work[last] = 1;
			last = NONE
		}
	   :: else
	   fi
	:: else
	fi
}

/*
 * The life of a region
 */

inline charge_it(r)
{
	charge[r]++;
	/* A range is never charged twice at a time */
	assert(S5_once || charge[0] + charge[1] == 1)
}

inline unpin(r)
{
	atomic {
		HELD(r);
		assert(S5_once || pins[r] == 1);
		pins[r]--;
		assert(S2_reached || !(LIVE_TCES(r) || CACHED(r)))
	}
}

inline uncharge(r)
{
	atomic {
		HELD(r);
		assert(S5_once || charge[r] == 1);
		charge[r]--
	}
}

/* region_remove() */
inline remove(r)
{
	atomic {
		assert(S5_once || tree == r);
		HELD(r);
		tree = NONE;
		removed[r] = 1;
#ifndef BREAK_NOWAIT
		assert(S5_once || changing == NONE);
		changing = r
#endif
	}
}

/* region_take_apart(): the caller has the lock, but not all the time */
inline take_apart(r)
{
	unlock();
	atomic { unpin(r); uncharge(r) }
	lock();
	atomic { HELD(r); changing = NONE }
}

/* region_retire(): call_rcu() */
inline retire(r)
{
	atomic {
		HELD(r);
		assert(S5_once || !rcu[r]);
		rcu[r] = 1;
#ifndef BREAK_GRACE
		waits[r] = readers;
#endif
		if
		:: readers -> did("removed under a reader\n")
		:: else
		fi
	}
}

/*
 * mm_iommu_new(): nobody else sees the region before it is in the tree. Whoever
 * wants the same range waits, or is killed.
 */
inline register(mem, r)
{
	lock();
	/* registry_settle() */
	do
	:: tree != NONE && used[tree] == 0 && mapped[tree] == 0 ->
		did("register: removes what was abandoned\n");
		r = tree;
		remove(r);
		take_apart(r);
		if
		:: reaped[r] ->
			did("register: the worker has been here\n");
			reaped[r] = 0;
			retire(r)
		:: else
		fi;
		r = NONE
	:: changing != NONE && (tree == NONE || used[tree] > 0 || mapped[tree] > 0) ->
		unlock();
		if
		:: changing == NONE -> did("register: has waited\n")
		:: did("register: killed while it waits\n");
			goto registered
		fi;
		lock()
	:: else -> break
	od;
	/* region_reuse() */
	if
	:: tree != NONE && used[tree] > 0 ->
		atomic { used[tree]++; mem = tree }
	:: tree != NONE && used[tree] == 0 ->
		did("register: -EBUSY\n")
	:: tree == NONE && next == NREG ->
		did("register: region_alloc() fails\n")
	:: tree == NONE && next < NREG ->
		atomic {
			r = next;
			state[r] = LIVE;
			mapped[r] = 1;
			own[r] = 1;
			used[r] = 1;
#ifdef BREAK_EARLY
			tree = r;
			unlock()
		}
		atomic {
#endif
#ifndef BREAK_MAKING
			changing = r;
#endif
			unlock();
			/* region_make() */
			if
			:: did("register: over the limit\n")
			:: charge_it(r);
			   if
			   :: did("register: region_pin() fails\n");
#ifndef BREAK_ERROR
				uncharge(r)
#else
				skip
#endif
			   :: pins[r]++
			   fi
			fi
		}
		lock();
		atomic {
			if
			:: pins[r] == 0
			:: pins[r] > 0 ->
				/* Without the lock, but nobody can see that */
				did("register: mas_store_gfp() fails\n");
				unpin(r);
				uncharge(r)
			:: pins[r] > 0 ->
				next++;
				tree = r;
				mem = r;
				if
				:: r > 0 && state[0] == LIVE ->
					did("registered again before the old one is freed\n")
				:: else
				fi
			fi;
			changing = NONE;
			if
			:: mem == NONE ->		/* region_free() */
				assert(S5_once || pins[r] + charge[r] == 0);
				mapped[r] = 0;
				own[r] = 0;
				used[r] = 0;
#ifdef BREAK_EARLY
				tree = NONE;
#endif
				state[r] = NEW
			:: else
			fi
		}
	fi;
	unlock();
registered:
	r = NONE
}

/*
 * tce_unregister() and mm_iommu_unregister(). Counts do not tell whose TCEs hold them,
 * so when the range is registered elsewhere, too, the container looks what its
 * own table maps.
 */
inline unregister(c, mem, busy)
{
#ifdef BREAK_SHARED
	/* Asks whether it is shared and looks, and only then takes the lock */
	if
	:: used[mem] > 1 && view[c] == mem -> goto refused
	:: else
	fi;
#endif
#ifdef BREAK_TRYLOCK
	if
	:: atomic { reg_locked -> assert(S3_answer || BUSY(mem)) }
	   goto refused
	:: else
	fi;
#endif
	lock();
	if
	:: used[mem] > 1 ->
#ifndef BREAK_SHARED
		if
		:: view[c] == mem ->
			did("unregister: shared, -EBUSY\n");
			goto locked
		:: else
		fi;
#endif
		atomic {
			used[mem]--;
			assert(S8_shared || view[c] != mem);
			mem = NONE
		}
	:: else ->
#ifdef BREAK_CHECK
		busy = (mapped[mem] != 1);
#endif
		atomic {
			HELD(mem);
			if
#if defined(BREAK_CHECK)
			:: !busy ->
#elif defined(BREAK_FORCE)
			:: true ->
#else
			:: mapped[mem] == 1 ->	/* atomic64_cmpxchg() */
#endif
				assert(S3_answer ||
				       (COUNTS(mem) == 0 && !LIVE_TCES(mem)));
				mapped[mem] = 0;
				own[mem] = 0;
				over[mem] = 1;
				CHECK(mem)
			:: else ->
				assert(S3_answer || BUSY(mem));
				did("unregister: -EBUSY\n");
				goto locked
			fi
		}
		used[mem] = 0;
		remove(mem);
		take_apart(mem);
		retire(mem);
		mem = NONE
	fi;
locked:	unlock();
refused:
	busy = 0
}

/* mm_iommu_release() */
inline release(mem, last)
{
	lock();
	used[mem]--;
	if
	:: used[mem] == 0 ->
#ifndef BREAK_CLOSE
		atomic {			/* atomic64_dec_and_test() */
			HELD(mem);
			mapped[mem]--;
			own[mem] = 0;
			CHECK(mem);
			over[mem] = (mapped[mem] == 0);
			last = over[mem]
		}
#endif
#ifdef BREAK_TWICE
		last = (mapped[mem] == 0);	/* atomic64_read() */
#endif
		if
		:: last -> remove(mem); take_apart(mem); retire(mem)
		:: else -> did("close: the region stays\n")
		fi
	:: else
	fi;
	mem = NONE;
#ifdef BREAK_FLUSH
	/* flush_work() under the lock that the work takes */
	!work[0] && !work[1];
#endif
	unlock();
	last = 0
}
