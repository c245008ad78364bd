using System.Diagnostics;

namespace LandmarkSharp.Tests.Cli;

/// <summary>The tool asked to stop, as Ctrl-C and <c>kill</c> do.</summary>
public sealed class StoppingTests(ToolModel model) : IClassFixture<ToolModel>
{
    [Fact]
    public async Task WhatWaitsForInputEnds()
    {
        var cancel = TestContext.Current.CancellationToken;
        using var process = Process.Start(new ProcessStartInfo(
            Path.Combine(AppContext.BaseDirectory, "landmark"), ["tokenizer", "encode", "--tokenizer", model.Path])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        try
        {
            var error = process.StandardError.ReadToEndAsync(cancel);
            _ = process.StandardOutput.ReadToEndAsync(cancel);
            // More than a pipe holds: once it is written, the tool is reading, and goes on waiting for the rest.
            await process.StandardInput.WriteAsync(new string('a', 1 << 20).AsMemory(), cancel);
            await process.StandardInput.FlushAsync(cancel);
            using (var kill = Process.Start("sh", ["-c", $"kill -TERM {process.Id}"])) await kill.WaitForExitAsync(cancel);
            await process.WaitForExitAsync(cancel).WaitAsync(TimeSpan.FromMinutes(1), cancel);
            Assert.Equal((143, ""), (process.ExitCode, await error));
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }
}
