# SPDX-License-Identifier: GPL-2.0
#
# Draw the growth curves of a bench.csv.
#
#   gnuplot -e "csv='bench.csv'; svg='bench.svg'; where='powernv9'" bench.gp

if (!exists("term")) term = "svg size 1200,1000 dynamic background 'white' font 'sans-serif,14'"
set terminal @term
set output svg

set style line 1 lc rgb '#c8500a' lw 2 pt 7 ps 0.5		# base
set style line 2 lc rgb '#c8500a' lw 2 pt 6 ps 0.6 dt (6, 4)
set style line 3 lc rgb '#1260a0' lw 2 pt 7 ps 0.5		# ours
set style line 4 lc rgb '#1260a0' lw 2 pt 6 ps 0.6 dt (6, 4)

# x and figure of one curve; a point without a figure is left out.
points(what, kernel, field) = sprintf( \
	"< awk -F, '$1 == \"%s\" && $4 == \"%s\" && $%d != \"\" { print $3, $%d }' '%s'", \
	what, kernel, field, field, csv)

set logscale x 2
set logscale y 10
set xtics (1, 4, 16, 64, 256, '1K' 2**10, '4K' 2**12, '16K' 2**14, \
	'64K' 2**16, '256K' 2**18, '1M' 2**20, '4M' 2**22, '16M' 2**24, '64M' 2**26)
set format y '%.0s%c'
# Ranges are given, a little wide for the last label; a machine may lack a curve.
set grid xtics ytics lc rgb '#dddddd' lt 1 lw 1
set border 3
set tics nomirror out
set key Left reverse samplen 3 spacing 1.1

# One picture: two things, each of the base and of ours
curves = 'plot points(a." ".of, "base", f) with linespoints ls 1 title "base: ".a, \
	points(b." ".of, "base", f) with linespoints ls 2 title "base: ".b, \
	points(a." ".of, "ours", f) with linespoints ls 3 title "ours: ".a, \
	points(b." ".of, "ours", f) with linespoints ls 4 title "ours: ".b'

set multiplot layout 2, 2 title 'What requests cost as they grow, 6.12 (base) and this series (ours). '.where \
	margins 0.08, 0.98, 0.08, 0.9 spacing 0.1, 0.15
a = 'map'; b = 'unmap'; f = 5

set title 'Length of the range'
set xlabel 'TCEs of one request (4K pages)'
set ylabel 'instructions per TCE'
set key top right
set yrange [10:10000]
set xrange [1:1.05e6]
of = 'range'; eval curves

set title 'Number of regions'
set xlabel 'regions registered'
set ylabel 'instructions per call for one page'
set key top left
set yrange [1000:100000]
set xrange [1:4.1e3]
of = 'among regions'; eval curves

set title 'Sparseness: 16 TCEs in a window of 2G TCEs (map: one call each, unmap: one call)'
set xlabel 'TCEs from one to the next'
set ylabel 'instructions per TCE'
set yrange [100:1e9]
set xrange [1:1.4e8]
of = 'sparse'; eval curves

set title 'Memory of that window and its levels (charged: VmLck; 0 is not drawn)'
set ylabel 'bytes per TCE'
set format y '%.0s %cB'
set yrange [1e3:1e13]
a = 'allocated'; b = 'charged'; f = 7; eval curves
unset multiplot
