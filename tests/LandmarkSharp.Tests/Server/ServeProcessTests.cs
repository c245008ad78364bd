using System.Diagnostics;
using System.Text;
using LandmarkSharp.Tests.Cli;

namespace LandmarkSharp.Tests.Server;

/// <summary><c>landmark serve</c> as people start and stop it, and as programs in other languages ask it.</summary>
public sealed class ServeProcessTests
{
    [Fact]
    public async Task ItAnswersNotesNoTextAndStopsWhenItIsAsked()
    {
        using var process = Start(out var address);
        var notes = process.StandardError.ReadToEndAsync();
        using var http = new HttpClient { BaseAddress = address };
        using var response = await http.PostAsync("v1/chat/completions", new StringContent(
            """{"model":"landmark-10m","messages":[{"role":"user","content":"The stone is red.\n\nWhat is red?"}],"max_tokens":3}""",
            Encoding.UTF8, "application/json"));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        await Stop(process);
        Assert.Equal(0, process.ExitCode);
        Assert.Contains("/v1/chat/completions", await notes, StringComparison.Ordinal);
        Assert.DoesNotContain("stone", await notes, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task WhatIsWrongIsSaidBeforeTheModelIsLoaded()
    {
        (await LandmarkTool.Run("serve", "--address", "0.0.0.0", "--model", "nowhere")).Says("no keys");
        (await LandmarkTool.Run("serve", "--cache", "much", "--json")).SaysAsJson("no number of bytes");
    }

    [Fact]
    public async Task ATakenPortIsSaid()
    {
        using var process = Start(out var address);
        (await LandmarkTool.Run("serve", "--port", address.Port.ToString())).Says("is taken");
        await Stop(process);
    }

    [Fact]
    public async Task TheOfficialClientOfJavaScriptIsAnswered()
    {
        var folder = Environment.GetEnvironmentVariable("LANDMARK_NODE_OPENAI");
        Assert.SkipUnless(folder is not null, "LANDMARK_NODE_OPENAI names no folder where 'npm install openai' was run.");
        using var library = new TemporaryFolder();
        using var process = Start(out var address, "--memories", library.Path);
        var script = Path.Combine(AppContext.BaseDirectory, "openai-client.mjs");
        File.Copy(script, Path.Combine(folder, "openai-client.mjs"), overwrite: true);
        using var node = Process.Start(new ProcessStartInfo("node", ["openai-client.mjs", $"{address}v1"])
        {
            WorkingDirectory = folder,
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        var error = node.StandardError.ReadToEndAsync();
        Assert.Equal("all right", (await node.StandardOutput.ReadToEndAsync()).Trim());
        await node.WaitForExitAsync();
        Assert.Equal((0, ""), (node.ExitCode, await error));
        await Stop(process);
    }

    /// <summary>The server as a process, when it listens.</summary>
    internal static Process Start(out Uri address, params string[] options)
    {
        var process = Process.Start(new ProcessStartInfo(
            Path.Combine(AppContext.BaseDirectory, "landmark"), ["serve", "--port", "0", "--json", .. options])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_WAIT_POLICY"] = "PASSIVE", ["DOTNET_TC_QuickJit"] = "1" },
        })!;
        address = new Uri(ToolRun.Parse(process.StandardOutput.ReadLine()!).GetProperty("address").GetString()!);
        return process;
    }

    /// <summary>Asks it to stop, and waits until it has.</summary>
    internal static async Task Stop(Process process)
    {
        using (var kill = Process.Start("sh", ["-c", $"kill -TERM {process.Id}"])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
    }
}
