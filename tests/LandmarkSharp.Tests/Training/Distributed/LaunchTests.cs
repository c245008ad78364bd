using LandmarkSharp.Training.Distributed;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Distributed;

public sealed class LaunchTests
{
    private static readonly Dictionary<string, string> Torchrun = new()
    {
        ["RANK"] = "3",
        ["WORLD_SIZE"] = "4",
        ["LOCAL_RANK"] = "1",
        ["MASTER_ADDR"] = "first",
        ["MASTER_PORT"] = "29500",
    };

    [Fact]
    public void AProcessAloneIsNone() => Assert.Null(Launch.From(_ => null));

    [Fact]
    public void MpirunTellsPlaces()
    {
        var launch = From(new()
        {
            ["OMPI_COMM_WORLD_RANK"] = "2",
            ["OMPI_COMM_WORLD_SIZE"] = "3",
            ["OMPI_COMM_WORLD_LOCAL_RANK"] = "0",
        });
        Assert.Equal(new Launch(2, 3, 0), launch);
        Assert.Null(launch!.Meeting);
    }

    [Fact]
    public void TorchrunTellsPlacesAndWhereToMeet()
    {
        var launch = From(Torchrun)!;
        Assert.Equal((3, 4, 1), (launch.Rank, launch.Size, launch.LocalRank));
        Assert.Equal(("first", 29501), launch.Meeting);
    }

    [Theory]
    [InlineData("RANK", "4", "The environment variable RANK is '4' and must be a number from 0 to 3")]
    [InlineData("WORLD_SIZE", "two", "WORLD_SIZE is 'two'")]
    [InlineData("LOCAL_RANK", null, "LOCAL_RANK is not set")]
    [InlineData("MASTER_ADDR", "", "MASTER_ADDR is not set")]
    [InlineData("MASTER_PORT", "65535", "MASTER_PORT is '65535'")]
    public void WhatMakesNoSenseIsNamed(string name, string? value, string part)
    {
        var variables = new Dictionary<string, string>(Torchrun);
        if (value is null) variables.Remove(name);
        else variables[name] = value;
        var e = Assert.Throws<LandmarkException>(() => From(variables));
        Assert.Contains(part, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TorchrunJoinsNoProcessesOnCpus() =>
        Assert.Contains("mpirun", Assert.Throws<LandmarkException>(() => From(Torchrun)!.Join(CPU)).Message, StringComparison.Ordinal);

    private static Launch? From(Dictionary<string, string> variables) => Launch.From(variables.GetValueOrDefault);
}
