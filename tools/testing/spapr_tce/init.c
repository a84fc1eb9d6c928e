// SPDX-License-Identifier: GPL-2.0
/*
 * The /init of the test initramfs: mount what programs need, load the modules
 * of /modules/list, run the test programs of /tests one after the other with a
 * time limit each, report them as KTAP, power off.
 *
 * Everything is written to /dev/kmsg with a mark at the start of each line.
 * The kernel puts whole lines on the console from there, so what a program
 * says and what the kernel says neither mix within a line nor can be taken
 * for each other.
 *
 * Kernel command line:
 *   spapr_tce.tests=a,b	run these only (default: those of /tests.list); of a:x.y:x.z
 *			the two tests x.y and x.z
 *   spapr_tce.only=NAME	of each of them that one test
 *   spapr_tce.timeout=N	seconds for each (default 120)
 *   spapr_tce.warmup=N	the first N may leave less free memory behind
 *   spapr_tce.stress=N	SPAPR_TCE_STRESS_SECONDS of their environment
 *   spapr_tce.seed=N	SPAPR_TCE_STRESS_SEED
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MARK		"tce: "
/* A record of the kernel's log holds about 1000 bytes; longer lines are cut. */
#define LINE_LEN	900
/* Seconds that a killed program gets to be gone. */
#define GRACE		10

static int kmsg = -1;
static int warmup;

static void say(const char *fmt, ...)
{
	char line[LINE_LEN + 64] = "<5>" MARK;
	size_t mark = strlen(line);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + mark, sizeof(line) - mark - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	n = strlen(line);
	line[n++] = '\n';
	if (write(kmsg, line, n) != n)
		fprintf(stderr, "%.*s", n, line);
}

/* Nothing can be tested without these; a missing one shows in the tests. */
static void mount_all(void)
{
	static const struct { const char *type, *dir, *opts; } mounts[] = {
		{ "devtmpfs", "/dev", NULL },
		{ "proc", "/proc", NULL },
		{ "sysfs", "/sys", NULL },
		{ "debugfs", "/sys/kernel/debug", NULL },
		{ "tracefs", "/sys/kernel/tracing", NULL },
		{ "tmpfs", "/tmp", "mode=1777" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].dir, 0755);
		if (mount(mounts[i].type, mounts[i].dir, mounts[i].type, 0,
			  mounts[i].opts) && errno != EBUSY)
			fprintf(stderr, "init: mount %s: %s\n", mounts[i].dir,
				strerror(errno));
	}
}

static bool slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	buf[len] = '\0';
	close(fd);
	return true;
}

/* The value of KEY= on the kernel's command line, in VAL; false if absent. */
static bool option(const char *key, char *val, size_t size)
{
	static char cmdline[4096];
	size_t len = strlen(key);
	const char *p;

	if (!cmdline[0] && !slurp("/proc/cmdline", cmdline, sizeof(cmdline)))
		return false;
	for (p = cmdline; *p; p += strcspn(p, "\n "), p += strspn(p, "\n ")) {
		if (!strncmp(p, key, len) && p[len] == '=') {
			p += len + 1;
			snprintf(val, size, "%.*s", (int)strcspn(p, "\n "), p);
			return true;
		}
	}
	return false;
}

/*
 * The coarse clock, which is the kernel's.  KVM moves the time base as a guest
 * comes and goes; where that is emulated, the processors' drift apart, and who
 * reads one that is behind finds the fine clock minutes ahead.
 */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Say each whole line of what was read so far, indented; keep the rest. */
static size_t say_lines(char *buf, size_t len, bool all)
{
	char *p = buf, *nl;

	while ((nl = memchr(p, '\n', buf + len - p))) {
		say("  %.*s", (int)(nl - p), p);
		p = nl + 1;
	}
	len -= p - buf;
	if (len && (all || len >= LINE_LEN)) {
		say("  %.*s", (int)len, p);
		return 0;
	}
	memmove(buf, p, len);
	return len;
}

static void exec_test(const char *name, char *tests, int out)
{
	char path[256], only[64], *args[64] = { (char *)name }, *save = NULL;
	size_t n = 1;

	setpgid(0, 0);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close(out);
	if (chdir("/tests"))
		_exit(127);
	snprintf(path, sizeof(path), "/tests/%s", name);
	if (option("spapr_tce.only", only, sizeof(only))) {
		args[n++] = "-t";
		args[n++] = only;
	}
	for (tests = strtok_r(tests, ":", &save); tests && n + 2 < ARRAY_SIZE(args);
	     tests = strtok_r(NULL, ":", &save)) {
		args[n++] = "-r";
		args[n++] = tests;
	}
	execv(path, args);
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

static void press(const char *key)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, key, 1) != 1)
		say("# sysrq: %s", strerror(errno));
	close(fd);
}

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

static bool kmemleak(const char *command)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, command, strlen(command)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* What was lost before the first program is not theirs */
static void leaks_begin(void)
{
	if (kmemleak("scan=off") && kmemleak("scan"))
		kmemleak("clear");
}

/* True, and told, if the kernel has lost memory since it was last asked. */
static bool leaks(void)
{
	static char text[16384];

	if (access(KMEMLEAK, F_OK))
		return false;
	/* It says nothing of what is younger than that */
	sleep(6);
	if (!kmemleak("scan") || !slurp(KMEMLEAK, text, sizeof(text)) || !text[0])
		return false;
	say_lines(text, strlen(text), true);
	kmemleak("clear");
	return true;
}

/* Memory that is free when no cache keeps any, in KiB; on lists of CPUs, too */
static long free_kib(void)
{
	static char text[65536];
	long pages = 0, n;
	char *line, *save;
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "3", 1) != 1)
		say("# drop_caches: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!slurp("/proc/zoneinfo", text, sizeof(text)))
		return 0;
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	return pages * (sysconf(_SC_PAGESIZE) >> 10);
}

/* Slabs of the kernel's own come and go by some MiB */
#define SLACK_KIB	(32 << 10)

/*
 * Has the kernel as much memory as before? What is freed late has a while for
 * that. A kernel with KASAN keeps some of what is freed; kmemleak is there then.
 */
static bool memory_lost(long before)
{
	long lost = 0;
	int i;

	if (!access(KMEMLEAK, F_OK))
		return false;
	for (i = 0; i < 100; i++) {
		lost = before - free_kib();
		if (lost < SLACK_KIB)
			return false;
		usleep(200000);
	}
	say("  # %ld of %ld KiB of free memory did not come back", lost, before);
	return true;
}

/* Run one program, NAME or NAME:TEST...; true if it succeeded. */
static bool run_test(int nr, char *name, double limit)
{
	char *tests = name + strcspn(name, ":");
	double start = now(), left, end;
	bool timeout = false, eof = false, leaked;
	char buf[LINE_LEN];
	size_t len = 0;
	int pipefd[2], status = 0;
	long free_before;
	pid_t pid, reaped = 0;

	if (*tests)
		*tests++ = '\0';
	free_before = free_kib();
	say("# Subtest: %s", name);
	if (pipe2(pipefd, O_CLOEXEC)) {
		say("not ok %d %s # pipe: %s", nr, name, strerror(errno));
		return false;
	}
	pid = fork();
	if (!pid)
		exec_test(name, tests, pipefd[1]);
	setpgid(pid, pid);
	close(pipefd[1]);

	/*
	 * A child that it left behind may hold the pipe open; what counts is
	 * that the program itself has ended.
	 */
	while (!eof || !reaped) {
		struct pollfd pfd = { .fd = eof ? -1 : pipefd[0],
				      .events = POLLIN };

		left = limit - (now() - start);
		if (left <= 0 && !timeout) {
			timeout = true;
			kill(-pid, SIGKILL);
		}
		if (poll(&pfd, 1, reaped ? 0 : 50) > 0) {
			ssize_t n = read(pipefd[0], buf + len, sizeof(buf) - len);

			if (n <= 0)
				eof = true;
			else
				len = say_lines(buf, len + n, false);
		} else if (reaped) {
			break;
		}
		if (!reaped)
			reaped = waitpid(pid, &status, WNOHANG);
		/* Stuck in the kernel: say where, and leave it there. */
		if (!reaped && left < -GRACE) {
			press("w");
			break;
		}
	}
	say_lines(buf, len, true);
	close(pipefd[0]);
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	end = now();
	leaked = leaks() || (nr > warmup && memory_lost(free_before));

	if (timeout)
		say("not ok %d %s # timeout after %.0f s", nr, name, limit);
	else if (WIFSIGNALED(status))
		say("not ok %d %s # signal %d", nr, name, WTERMSIG(status));
	else if (leaked)
		say("not ok %d %s # the kernel has lost memory", nr, name);
	else if (WEXITSTATUS(status) == 4)	/* KSFT_SKIP */
		say("ok %d %s # SKIP", nr, name);
	else if (WEXITSTATUS(status))
		say("not ok %d %s # exit %d", nr, name, WEXITSTATUS(status));
	else
		say("ok %d %s # %.1f s", nr, name, end - start);
	return !timeout && !leaked && WIFEXITED(status) &&
	       (!WEXITSTATUS(status) || WEXITSTATUS(status) == 4);
}

/* The names in a list, separated by commas or white space. */
static int split(char *list, char **names, int max)
{
	char *p, *save = NULL;
	int n = 0;

	for (p = strtok_r(list, "\n ,", &save); p && n < max;
	     p = strtok_r(NULL, "\n ,", &save))
		names[n++] = p;
	return n;
}

/*
 * Load what is in /modules/list, in that order. KVM has a module for machines
 * of each kind and refuses the others with ENODEV; a module that is missing for
 * any other reason shows in the tests.
 */
static void load_modules(void)
{
	static char list[4096];
	char *names[64], path[256];
	int i, n, fd;

	if (!slurp("/modules/list", list, sizeof(list)))
		return;
	n = split(list, names, ARRAY_SIZE(names));
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/modules/%s.ko", names[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			say("# module %s: %s", names[i], strerror(errno));
		else
			say("# module %s", names[i]);
		if (fd >= 0)
			close(fd);
	}
}

int main(void)
{
	static char list[4096], limit[16] = "120", warm[16] = "0", number[16];
	char *names[64];
	int i, n, failed = 0;

	mount_all();
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (!option("spapr_tce.tests", list, sizeof(list)))
		slurp("/tests.list", list, sizeof(list));
	option("spapr_tce.timeout", limit, sizeof(limit));
	option("spapr_tce.warmup", warm, sizeof(warm));
	warmup = atoi(warm);
	if (option("spapr_tce.stress", number, sizeof(number)))
		setenv("SPAPR_TCE_STRESS_SECONDS", number, 1);
	if (option("spapr_tce.seed", number, sizeof(number)))
		setenv("SPAPR_TCE_STRESS_SEED", number, 1);
	n = split(list, names, ARRAY_SIZE(names));

	load_modules();
	leaks_begin();
	say("KTAP version 1");
	say("1..%d", n);
	for (i = 0; i < n; i++)
		failed += !run_test(i + 1, names[i], atof(limit));
	say("# %d programs, %d failed", n, failed);
	say("=== end of tests ===");
	sync();
	/* Power-off waits for locks that who died of an Oops may hold for good. */
	if (!fork()) {
		sleep(60);
		press("b");
		_exit(1);
	}
	reboot(RB_POWER_OFF);
	return 1;
}
