/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tce_batch.c: the hypercalls that it makes, and what firmware has (lpar.c).
 */
#ifndef _SPAPR_TCE_SHIM_PLPAR_WRAPPERS_H
#define _SPAPR_TCE_SHIM_PLPAR_WRAPPERS_H

#define FW_FEATURE_PUT_TCE_IND	1
#define FW_FEATURE_STUFF_TCE	2

bool firmware_has_feature(unsigned long feature);
void msleep(unsigned int ms);

long plpar_tce_put(unsigned long liobn, unsigned long ioba, unsigned long tce);
long plpar_tce_put_indirect(unsigned long liobn, unsigned long ioba,
			    unsigned long list, unsigned long nr);
long plpar_tce_stuff(unsigned long liobn, unsigned long ioba, unsigned long tce,
		     unsigned long nr);

#endif
