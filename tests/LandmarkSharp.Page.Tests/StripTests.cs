using System.Text.Json;

namespace LandmarkSharp.Page.Tests;

/// <summary>The strip of very large memories.</summary>
public sealed class StripTests(Browsers browsers)
{
    [Theory]
    [InlineData(360)]
    [InlineData(1600)]
    public async Task FiftyThousandBlocksAreDrawnAtOnce(int width)
    {
        await using var page = await browsers.Open(width);
        await page.Add(page.Notes());
        var drawn = await page.Page.EvaluateAsync<JsonElement>(
            """
            async () => {
              const url = performance.getEntriesByType("resource").map(r => r.name).find(n => n.endsWith("/page.js"));
              const { drawStrip } = await import(url);
              const host = document.getElementById("strip"), shares = [...Array(200).keys()].map(i => ({ block: i * 249 + 1, share: 0.001 }));
              const view = { blocks: 50000, memories: [{ name: "m", first: 0 }], documents: [{ name: "a", first: 0 }, { name: "b", first: 30000 }], shares, now: shares.slice(0, 3) };
              const opened = [], page = { invokeMethodAsync: async (_, block) => opened.push(block) };
              const began = performance.now();
              for (let i = 0; i < 10; i++) drawStrip(host, view, 1, page);
              const milliseconds = (performance.now() - began) / 10, canvas = host.querySelector("canvas"), box = canvas.getBoundingClientRect();
              const lit = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
                .reduce((colours, _, i, all) => i % 4 ? colours : colours.add(`${all[i]} ${all[i + 1]} ${all[i + 2]}`), new Set()).size;
              const click = (x, y) => host.dispatchEvent(new MouseEvent("click", { clientX: box.left + x, clientY: box.top + y }));
              click(1, 1);
              await new Promise(r => setTimeout(r));
              click(box.width - 1, box.height / 2);
              await new Promise(r => setTimeout(r));
              return { milliseconds, height: box.height, colours: lit(), opened };
            }
            """);
        Assert.InRange(drawn.GetProperty("milliseconds").GetDouble(), 0, 5_000);            // not an element for each block, which takes far longer
        Assert.InRange(drawn.GetProperty("height").GetDouble(), 40, 125);
        Assert.InRange(drawn.GetProperty("colours").GetInt32(), 5, int.MaxValue);           // two documents, what was read, what is, the chosen one
        var opened = drawn.GetProperty("opened").EnumerateArray().Select(o => o.GetInt64()).ToArray();
        Assert.Equal(1, opened[0]);                                                         // of a cell of several, the one that was read
        Assert.InRange(opened[1], 20_000, 30_000);
    }
}
