using System.Diagnostics;
using System.Text;
using LandmarkSharp.Tests.Cli;

namespace LandmarkSharp.Tests.Server;

/// <summary><c>landmark serve</c> as people start and stop it, and as programs in other languages ask it.</summary>
public sealed class ServeProcessTests
{
    /// <summary>Whose keys are nowhere, whatever keys the user of these tests has.</summary>
    private static readonly string[] NoKeys = ["env", "XDG_CONFIG_HOME=/nowhere"];

    [Fact]
    public async Task ItAnswersNotesNoTextAndStopsWhenItIsAsked()
    {
        await using var process = ServeProcess.Start();
        using var http = new HttpClient { BaseAddress = process.Address };
        using var response = await http.PostAsync("v1/chat/completions", new StringContent(
            """{"model":"landmark-10m","messages":[{"role":"user","content":"The stone is red.\n\nWhat is red?"}],"max_tokens":3}""",
            Encoding.UTF8, "application/json"));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        var (code, notes) = await process.Stop();
        Assert.Equal(0, code);
        Assert.Contains("/v1/chat/completions", notes, StringComparison.Ordinal);
        Assert.DoesNotContain("stone", notes, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task WhatIsWrongIsSaidBeforeTheModelIsLoaded()
    {
        (await LandmarkTool.RunBy(NoKeys, "serve", "--address", "0.0.0.0", "--model", "nowhere")).Says("there are no keys");
        (await LandmarkTool.Run("serve", "--keys", "/nowhere/keys.json", "--model", "nowhere")).Says("There is no key file /nowhere/keys.json");
        (await LandmarkTool.Run("serve", "--certificate", "/nowhere/a.pem", "--model", "nowhere")).Says("/nowhere/a.pem cannot be read");
        (await LandmarkTool.Run("serve", "--cache", "much", "--json")).SaysAsJson("no number of bytes");
    }

    [Fact]
    public async Task MemoriesAreInTheUsersFolderAndOneServersAlone()
    {
        using var data = new TemporaryFolder();
        await using var process = ServeProcess.StartFor(data.Path);
        Assert.Equal(data["landmark/memories"], process.Memories);
        using var http = new HttpClient { BaseAddress = process.Address };
        Assert.Contains("<title>landmark-10m", await http.GetStringAsync("/"), StringComparison.Ordinal);
        (await LandmarkTool.RunBy(["env", "XDG_CONFIG_HOME=/nowhere", $"XDG_DATA_HOME={data.Path}"], "serve", "--port", "0")).Says("are those of another server that runs");
        await using var without = ServeProcess.StartFor(data.Path, "--memories", "none");
        Assert.Null(without.Memories);
    }

    [Fact]
    public async Task ATakenPortIsSaid()
    {
        await using var process = ServeProcess.Start();
        (await LandmarkTool.RunBy(NoKeys, "serve", "--memories", "none", "--port", process.Address.Port.ToString())).Says("is taken");
    }

    [Fact]
    public async Task TheOfficialClientOfJavaScriptIsAnswered()
    {
        var folder = Environment.GetEnvironmentVariable("LANDMARK_NODE_OPENAI");
        Assert.SkipUnless(folder is not null, "LANDMARK_NODE_OPENAI names no folder where 'npm install openai' was run.");
        using var library = new TemporaryFolder();
        await using var process = ServeProcess.Start("--memories", library.Path);
        var script = Path.Combine(AppContext.BaseDirectory, "openai-client.mjs");
        File.Copy(script, Path.Combine(folder, "openai-client.mjs"), overwrite: true);
        using var node = Process.Start(new ProcessStartInfo("node", ["openai-client.mjs", $"{process.Address}v1"])
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
    }
}
