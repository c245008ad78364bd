
namespace LandmarkSharp.Tests.Cli;

/// <summary><c>landmark verify</c> as scripts use it: what it writes, and by which code it ends.</summary>
public sealed class VerifyCommandTests(ToolModel model) : IClassFixture<ToolModel>
{
    private const string Case = "b1_h2_q16_kv16_d8_block4.safetensors";

    [Fact]
    public async Task EveryCheckIsTold()
    {
        var told = (await LandmarkTool.Run("verify", Golden.Path("hf_llama"), "--json")).Json;
        Assert.True(told.GetProperty("pass").GetBoolean());
        var checks = told.GetProperty("checks").EnumerateArray().ToArray();
        Assert.Equal(["logits", "generated"], checks.Select(c => c.GetProperty("name").GetString()));
        foreach (var check in checks)
        {
            Assert.Equal(["max_error", "name", "pass", "tolerance"], check.EnumerateObject().Select(p => p.Name).Order());
            Assert.True(check.GetProperty("pass").GetBoolean());
            Assert.InRange(check.GetProperty("max_error").GetDouble(), 0, check.GetProperty("tolerance").GetDouble());
        }
    }

    [Fact]
    public async Task AFailureIsAnExitCode()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Golden.Path("attention", Case), folder[Case]);
        ToolModel.Rewrite(folder, Case, t => t["out"].flatten()[3] = 0.5f);
        var run = await LandmarkTool.Run("verify", folder[Case], "--json");
        Assert.Equal(1, run.Code);
        Assert.Empty(run.Error);
        var told = ToolRun.Parse(run.Output);
        Assert.False(told.GetProperty("pass").GetBoolean());
        Assert.Equal(["out"], told.GetProperty("checks").EnumerateArray()
            .Where(c => !c.GetProperty("pass").GetBoolean()).Select(c => c.GetProperty("name").GetString()));

        var people = await LandmarkTool.Run("verify", folder[Case]);
        Assert.Equal(1, people.Code);
        Assert.Contains("1 of 5 fail.", people.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatCannotBeComparedIsRefused()
    {
        using var folder = model.Copy();
        (await LandmarkTool.Run("verify", folder["nowhere"])).Says("There is no file or folder");
        (await LandmarkTool.Run("verify", folder.Path, "--json"))
            .SaysAsJson("has no expected.safetensors, so there is nothing to compare with");
        (await LandmarkTool.Run("verify", folder["text.txt"])).Says("text.txt is not a whole safetensors file");
        (await LandmarkTool.Run("verify", folder["model.safetensors"])).Says("it is no attention case");
        File.Copy(Golden.Path("hf_llama", "expected.safetensors"), folder["expected.safetensors"]);
        (await LandmarkTool.Run("verify", folder.Path)).Says("the file belongs to another model");
        File.WriteAllText(folder["config.json"], "{");
        (await LandmarkTool.Run("verify", folder.Path)).Says("config.json is not valid JSON");
    }
}
