"""Colours that people who see colours differently can tell apart (Okabe and Ito 2008), and a grey."""

BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6b7280"
