// Draws the plots of a page: every script of type application/json inside a figure becomes a graph before its table.
(function () {
  "use strict";
  function escaped(text) {
    var box = document.createElement("div");
    box.textContent = text;
    return box.innerHTML;
  }
  function short(value) {
    if (value === null || value === undefined || !isFinite(value)) return "";
    var size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  }
  function draw(source) {
    var plot = JSON.parse(source.textContent);
    var box = document.createElement("div");
    box.className = "plot";
    var legend = document.createElement("div");
    legend.className = "legend";
    source.parentNode.insertBefore(legend, source);
    source.parentNode.insertBefore(box, source);
    function name(x) {
      return x === Math.round(x) && plot.names[x] !== undefined ? escaped(plot.names[x]) : "";
    }
    var bars = plot.curves.some(function (curve) { return curve.low; });
    var rows = plot.names.map(function (label, at) {
      return [at].concat(plot.curves.map(function (curve) {
        var value = curve.values[at];
        if (!bars || value === null) return bars ? [null, null, null] : value;
        return curve.low ? [curve.low[at], value, curve.high[at]] : [value, value, value];
      }));
    });
    var graph = new Dygraph(box, rows, {
      labels: ["layer"].concat(plot.curves.map(function (curve) { return curve.name; })),
      colors: plot.curves.map(function (curve) { return curve.color; }),
      customBars: bars,
      logscale: plot.logarithmic,
      drawPoints: true,
      pointSize: 3,
      strokeWidth: 2,
      connectSeparatedPoints: false,
      legend: "always",
      labelsDiv: legend,
      xRangePad: 12,
      includeZero: false,
      series: plot.curves.reduce(function (all, curve) {
        all[curve.name] = curve.dashed ? { strokePattern: [6, 4], drawPoints: false } : {};
        return all;
      }, {}),
      axes: {
        x: {
          axisLabelFormatter: name,
          valueFormatter: name,
          ticker: function (from, to) {
            var ticks = [], step = Math.max(1, Math.ceil((to - from) / 16));
            for (var at = Math.ceil(from); at <= to; at += step) ticks.push({ v: at, label: name(at) });
            return ticks;
          },
        },
        y: { axisLabelFormatter: short, valueFormatter: short, axisLabelWidth: 70 },
      },
    });
    window.addEventListener("resize", function () { graph.resize(); });
  }
  var all = document.querySelectorAll("figure > script[type='application/json']");
  for (var at = 0; at < all.length; at += 1) draw(all[at]);
})();
