using System.Runtime.Versioning;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Memory.Files;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>The file of keys: what stands in it, who may read it, and what is refused.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class KeyFileTests : IDisposable
{
    private readonly KeyRoom keys = new();

    [Fact]
    public void AKeyIsShownOnceAndItsHashIsKept()
    {
        var (anna, ben) = (keys.Create("anna", new CallerLimits { TokensADay = 5, HotBytes = 7 }), keys.Create("ben", holds: TimeSpan.FromHours(1)));
        Assert.NotEqual(anna, ben);
        Assert.Equal(4 + 43, anna.Length);                                                  // 256 bits, six a letter
        var text = File.ReadAllText(keys.File.Path);
        Assert.DoesNotContain(anna, text, StringComparison.Ordinal);
        Assert.DoesNotContain(anna[4..], text, StringComparison.Ordinal);
        var all = keys.File.Read();
        Assert.Equal(["anna", "ben"], all.Select(k => k.Name));
        Assert.Equal(new CallerLimits { TokensADay = 5, HotBytes = 7 }, all[0].Limits);
        Assert.Equal(Convert.ToHexStringLower(KeyFile.Hash(anna)), all[0].Hash);
        Assert.Null(all[0].Expires);
        Assert.True(all[1].Holds(DateTimeOffset.UtcNow));
        Assert.False(all[1].Holds(DateTimeOffset.UtcNow.AddHours(1)));
    }

    [Fact]
    public void OthersMayNotReadIt()
    {
        var path = keys.File.Path;
        File.WriteAllText(path + ".partial", "left by a kill");
        File.SetUnixFileMode(path + ".partial", (UnixFileMode)0b110_110_110);
        keys.Create("anna");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        File.SetUnixFileMode(path, (UnixFileMode)0b110_100_000);
        Refusals.Says(() => keys.File.Read(), $"is open to other accounts of this machine; close it to them by 'chmod 600 {path}'");
        Refusals.Says(() => keys.Create("ben"), "is open to other accounts");
    }

    [Fact]
    public void ItsFolderIsMadeForItsOwner()
    {
        var file = new KeyFile(keys["some/where/keys.json"]);
        file.Create("anna", new CallerLimits(), null);
        Assert.Single(file.Read());
        Assert.Equal((UnixFileMode)0b111_000_000, File.GetUnixFileMode(keys["some/where"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("{\"version\":1}")]
    [InlineData("{\"version\":2,\"keys\":[]}")]
    [InlineData("{\"version\":1,\"keys\":[],\"other\":1}")]
    [InlineData("{\"version\":1,\"keys\":[null]}")]
    [InlineData("{\"version\":1,\"keys\":[{\"name\":\"a\",\"hash\":\"00\",\"created\":\"2026-01-01T00:00:00Z\",\"expires\":null,\"limits\":{}}]}")]
    [InlineData("{\"version\":1,\"keys\":[{\"name\":\"../a\",\"hash\":\"HASH\",\"created\":\"2026-01-01T00:00:00Z\",\"expires\":null,\"limits\":{}}]}")]
    [InlineData("{\"version\":1,\"keys\":[{\"name\":\"a\",\"hash\":\"HASH\",\"created\":\"2026-01-01T00:00:00Z\",\"expires\":null}]}")]
    [InlineData("{\"version\":1,\"keys\":[{\"name\":\"a\",\"hash\":\"HASH\",\"created\":\"2026-01-01T00:00:00Z\",\"expires\":null,\"limits\":{\"tokens\":1}}]}")]
    public void ADamagedOneLetsNobodyIn(string text)
    {
        File.WriteAllText(keys.File.Path, text.Replace("HASH", new string('0', 64), StringComparison.Ordinal));
        File.SetUnixFileMode(keys.File.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Refusals.Says(() => keys.File.Read(), "keys.json is damaged; restore it");
        Refusals.Says(() => keys.Create("anna"), "is damaged");
    }

    [Theory]
    [InlineData("")]
    [InlineData("Anna")]
    [InlineData("anna berg")]
    [InlineData("../anna")]
    [InlineData(".anna")]
    [InlineData("änne")]
    [InlineData("local")]
    public void SomeNamesAreNone(string name) => Refusals.Says(() => keys.Create(name), "is no name for a key; give up to 64");

    [Fact]
    public void WhatCannotBeIsSaid()
    {
        Refusals.Says(() => keys.File.Read(), "There is no key file");
        Refusals.Says(() => keys.File.Revoke("anna"), "There is no key 'anna'");
        keys.Create("anna");
        Refusals.Says(() => keys.Create("anna"), "There is a key 'anna'");
        Refusals.Says(() => keys.Create("ben", new CallerLimits { Concurrency = 0 }), "Concurrency must be at least 1");
        Refusals.Says(() => keys.Create("ben", new CallerLimits { UploadBytes = -1 }), "UploadBytes must be at least 0");
        Assert.Throws<LandmarkException>(() => keys.Create("ben\n"));
        Refusals.Says(() => new KeyFile("/proc/keys.json").Create("anna", new CallerLimits(), null), "/proc/keys.json");
        using (WriterLock.Take(keys.File.Path))
            Refusals.Says(() => keys.File.Revoke("anna"), "is being written by another");
        keys.File.Revoke("anna");
        Assert.Empty(keys.File.Read());
        Refusals.Says(() => keys.File.RequireKey(), "No key in");
    }

    [Fact]
    public async Task WritersDoNotUndoEachOther()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
        {
            while (true)
            {
                try
                {
                    keys.Create($"key-{i}");
                    return;
                }
                catch (LandmarkException e) when (e.Message.Contains("another writer", StringComparison.Ordinal))
                {
                    await Task.Delay(5);
                }
            }
        })));
        Assert.Equal(Enumerable.Range(0, 8).Select(i => $"key-{i}"), keys.File.Read().Select(k => k.Name).Order());
    }

    public void Dispose() => keys.Dispose();
}
