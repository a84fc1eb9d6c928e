/* SPDX-License-Identifier: GPL-2.0-only */
/* For the base's container driver, which asks for the address of a user's page */
#ifndef _SPAPR_TCE_SHIM_BASE_VFIO_H
#define _SPAPR_TCE_SHIM_BASE_VFIO_H

#include "../../custom/vfio.h"

#undef page_address
#undef __pa
#define page_address(page)	((void *)page_to_phys(page))
#define __pa(x)			((unsigned long)(x))

#endif
