// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a TCE costs on this processor: requests to the container driver, through
 * its ioctl entry, around the files of ours or of the base.
 *
 * Usage: bench [MS [STEPPED]]
 *
 *   MS		milliseconds for each line (50)
 *   STEPPED	where the processor does not count instructions, those of requests
 *		for up to so many TCEs are counted by single steps (0)
 *
 * Each line has these, with tabs between:
 *
 *   what	what is done: map (where nothing is), over (map what is mapped),
 *		unmap, or store (the floor: one store for each TCE, nothing else)
 *   where	index of the memory and window, see setups[]
 *   x		how many TCEs one request is for
 *   median	ns for each TCE, the median of all samples
 *   least	the least of them
 *   instructions	for each TCE, "-" where they were not counted
 *
 * A line that starts with "where" names a setup; one with "kills" says how many
 * kills the last request made, which are not in the times. A line that starts
 * with # is for the reader.
 */
/* asm/byteorder.h is empty here */
#define __LITTLE_ENDIAN_BITFIELD
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "steps.h"

/* TCEs of a sample, made of as many requests as it takes */
#define SAMPLE		16384UL
#define MOST		65536UL
#define MAX_SAMPLES	4096

#define SINGLES		UA_END		/* single pages in no order */
#define FOLIOS		(UA_END + MOST)	/* folios of 2M */

struct setup {
	const char *name;
	unsigned long first;
	unsigned int page_shift;
	unsigned int window_shift;
	unsigned int levels;
};

static const struct setup setups[] = {
	{ "64K TCEs", SINGLES, 16, 32, 1 },
	{ "4K TCEs", SINGLES, 12, 28, 1 },
	{ "64K TCEs, memory in 2M folios", FOLIOS, 16, 32, 1 },
	{ "64K TCEs, window of 2^31", SINGLES, 16, 47, 2 },
};

static u64 budget;		/* ns for each line */
static unsigned long stepped;	/* STEPPED */

static struct host_container container;
static struct iommu_table *tbl;
static struct mm_struct *mm;

/*
 * Clocks.
 */

static int counter = -1;

static void counter_open(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};

	counter = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (counter < 0)
		printf("# No counters of the processor (perf_event_open: %s): %s.\n",
		       strerror(errno), stepped ? "instructions by single steps" :
		       "no instructions");
}

static u64 counter_read(void)
{
	u64 value = 0;

	if (counter >= 0 && read(counter, &value, sizeof(value)) != sizeof(value))
		host_die("the processor's counter cannot be read\n");

	return value;
}

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

/*
 * What is measured: all requests of a sample.
 */

struct work {
	unsigned long nr;	/* TCEs of each request */
	unsigned long total;	/* of them all */
	unsigned long iova;
	unsigned long ua;
	unsigned int shift;
};

static void do_map(const struct work *w)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = RW,
		.vaddr = w->ua,
		.iova = w->iova,
		.size = w->nr << w->shift,
	};
	unsigned long i;
	long ret;

	for (i = 0; i < w->total; i += w->nr) {
		ret = host_driver->ioctl(container.data, VFIO_IOMMU_MAP_DMA,
					 (unsigned long)&map);
		if (ret)
			host_die("map: %ld\n", ret);
		map.vaddr += map.size;
		map.iova += map.size;
	}
}

static void do_unmap(const struct work *w)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = w->iova,
		.size = w->nr << w->shift,
	};
	unsigned long i;
	long ret;

	for (i = 0; i < w->total; i += w->nr) {
		ret = host_driver->ioctl(container.data, VFIO_IOMMU_UNMAP_DMA,
					 (unsigned long)&unmap);
		if (ret)
			host_die("unmap: %ld\n", ret);
		unmap.iova += unmap.size;
		unmap.size = w->nr << w->shift;
	}
}

static __be64 floor_table[MOST] __aligned(SZ_2M);

static noinline void
floor_request(__be64 *tce, unsigned long nr, unsigned long hpa, unsigned int shift)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		WRITE_ONCE(tce[i], cpu_to_be64(hpa + (i << shift)));
}

static void do_store(const struct work *w)
{
	unsigned long i;

	for (i = 0; i < w->total; i += w->nr)
		floor_request(floor_table + i, w->nr,
			      HOST_PHYS_BASE + (i << w->shift) + 3, w->shift);
}

static const struct step {
	const char *name;
	void (*run)(const struct work *w);
} steps[] = {
	{ "map", do_map },
	{ "over", do_map },
	{ "unmap", do_unmap },
	{ "store", do_store },
};

#define NR_STEPS	ARRAY_SIZE(steps)

static long count_child(const struct step *step, const struct work *w)
{
	pid_t pid = steps_begin();

	if (!pid) {
		step->run(w);
		steps_end();
	}

	return steps_count(pid);
}

/* Instructions for each TCE of one request, 0 when they cannot be counted */
static double count_steps(const struct step *step, const struct work *w)
{
	struct work one = *w, none = *w;
	long n, idle;

	one.total = w->nr;
	none.total = 0;
	n = count_child(step, &one);
	idle = count_child(step, &none);

	return n < 0 || idle < 0 ? 0 : (double)(n - idle) / w->nr;
}

/* Whether the table has what it should: @mapped, or nothing */
static void check(const struct work *w, bool mapped)
{
	unsigned long i, ua, hpa, want = 0;

	for (i = 0; i < w->total; i++) {
		if (mapped) {
			ua = w->ua + (i << w->shift);
			hpa = page_to_phys(mm->pte[(ua - HOST_UA_BASE) >> PAGE_SHIFT].page);
			want = (hpa + offset_in_page(ua)) | TCE_PCI_READ | TCE_PCI_WRITE;
		}
		if (tbl->it_ops->get(tbl, tbl->it_offset + i) != want)
			host_die("TCE %lu of %lu is not %#lx\n", i, w->total, want);
	}
}

/*
 * Samples.
 */

static double samples[NR_STEPS][MAX_SAMPLES];
static double counts[NR_STEPS][MAX_SAMPLES];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure(const struct work *w, unsigned int where)
{
	double by_steps[NR_STEPS] = { 0 };
	u64 began, start, taken, counted;
	unsigned long kills[NR_STEPS];
	unsigned int i, n;

	/* Once for the levels to be there, and to see that it is right */
	for (i = 0; i < NR_STEPS; i++) {
		kills[i] = machine_kills;
		steps[i].run(w);
		kills[i] = machine_kills - kills[i];
		check(w, steps[i].run == do_map);
	}

	for (i = 0; counter < 0 && w->nr <= stepped && i < NR_STEPS; i++) {
		by_steps[i] = count_steps(steps + i, w);
		steps[i].run(w);
	}

	began = now();
	for (n = 0; n < MAX_SAMPLES && (n < 5 || now() - began < budget); n++) {
		for (i = 0; i < NR_STEPS; i++) {
			counted = counter_read();
			start = now();
			steps[i].run(w);
			taken = now() - start;
			counted = counter_read() - counted;
			samples[i][n] = (double)taken / w->total;
			counts[i][n] = (double)counted / w->total;
		}
	}
	for (i = 0; i < NR_STEPS; i++) {
		qsort(samples[i], n, sizeof(double), compare);
		qsort(counts[i], n, sizeof(double), compare);
		printf("%s\t%u\t%lu\t%.4f\t%.4f\t", steps[i].name, where, w->nr,
		       samples[i][n / 2], samples[i][0]);
		if (counter < 0 && !by_steps[i])
			printf("-\n");
		else
			printf("%.2f\n", by_steps[i] ?: counts[i][n / 2]);
		if (kills[i] && w->nr == MOST)
			printf("kills\t%u\t%s\t%lu\n", where, steps[i].name, kills[i]);
	}
}

static void bench(unsigned int where)
{
	const struct setup *s = setups + where;
	struct work w = { .ua = host_ua(s->first), .shift = s->page_shift };
	u64 start, size = MOST << s->page_shift;

	printf("where\t%u\t%s\n", where, s->name);
	memset(&container, 0, sizeof(container));
	if (vfio_attach(&container, host_pes) ||
	    vfio_set_iommu(&container, VFIO_SPAPR_TCE_v2_IOMMU) ||
	    req_register(&container, w.ua, size) ||
	    req_create(&container, s->page_shift, 1UL << s->window_shift,
		       s->levels, &start))
		host_die("%s: no window\n", s->name);
	tbl = host_pes[0].pe.table_group.tables[start >> 59];
	w.iova = start;
	for (w.nr = 1; w.nr <= MOST; w.nr *= 4) {
		w.total = max(w.nr, SAMPLE);
		measure(&w, where);
	}
	req_remove(&container, start);
	req_unregister(&container, w.ua, size);
	vfio_close(&container);
}

int main(int argc, char **argv)
{
	unsigned int i;

	budget = (argc > 1 ? strtoul(argv[1], NULL, 0) : 50) * 1000000;
	stepped = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	machine_init();
	mm = mm_create(1UL << 40);
	mm_fill(mm, SINGLES, MOST, 0);
	mm_fill(mm, FOLIOS, MOST, ilog2(HOST_2M_PAGES));
	current->mm = mm;
	counter_open();
	for (i = 0; i < ARRAY_SIZE(setups); i++)
		bench(i);
	host_settle();
	mm_destroy(mm);
	machine_reset();

	return 0;
}
