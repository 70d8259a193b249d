package edgedistill

import edgedistill.core.Programs

/** The runtime that this library is built with. */
internal fun programs(assets: Assets): Programs = LiteRt(assets)
