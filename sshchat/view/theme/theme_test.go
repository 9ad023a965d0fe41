package theme

import (
	"math"
	"testing"
)

// The colors of names can be read on the background they are made for.
func TestContrast(t *testing.T) {
	backgrounds := map[string]int{"dark": 0x000000, "light": 0xffffff}
	checked := 0
	for _, th := range themes {
		background, ok := backgrounds[th.name]
		if !ok {
			continue
		}
		colors := append([]int{}, th.names...)
		for _, l := range th.appearances {
			if l.color != noColor {
				colors = append(colors, l.color)
			}
		}
		for _, c := range colors {
			checked++
			if r := contrast(c, background); r < 4.5 {
				t.Errorf("%s: %06x has a contrast of %.1f", th.name, c, r)
			}
		}
	}
	if checked < 40 {
		t.Errorf("%d colors were checked", checked)
	}
}

// contrast is that of WCAG 2.2.
func contrast(a, b int) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c int) float64 {
	sum := 0.0
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} {
		v := float64(c>>(8*i)&0xff) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
