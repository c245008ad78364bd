using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Memory.Files;
using TorchSharp;

namespace LandmarkSharp.Tests.Generation;

/// <summary>A fork goes on as a session does that was given its tokens, and the session that it left as if there were none.</summary>
public sealed class SessionForkTests : MemoryShelf
{
    [Fact]
    public void AForkEqualsAFreshSessionWhereverItLeaves() =>
        Gen.Select(Gen.Int[1, 6], Gen.Enum<LandmarkLoss>(), Gen.Int[1, 90], Gen.Int[0, 12], Gen.Int[0, 1000]).Sample(
            (block, policy, count, said, at) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block, loss: policy));
                using var session = engine.NewSession();
                session.Append(TinyModel.Tokens(count));
                Ids(session, said);
                var tokens = 1 + (at % session.Tokens.Count);
                using var fork = session.Fork(tokens);
                Assert.Equal(session.Tokens.Take(tokens), fork.Tokens);
                using var fresh = engine.NewSession();
                fresh.Append([.. session.Tokens.Take(tokens)]);
                using var whole = engine.NewSession();
                whole.Append([.. session.Tokens]);
                Assert.Equal(Ids(fresh, 8), Ids(fork, 8));
                Assert.Equal(Ids(whole, 8), Ids(session, 8));
            },
            iter: 40, threads: 1);

    [Theory]
    [InlineData(torch.ScalarType.Float32)]
    [InlineData(torch.ScalarType.BFloat16)]
    [InlineData(torch.ScalarType.Int8)]
    public void BlocksAreCopiedAndNotComputed(torch.ScalarType type)
    {
        using var engine = TinyEngine.Create(
            TinyModel.Config(4), new RetrievalOptions { TopK = 2, WindowBlocks = 2, BlockType = type, Index = LandmarkIndex.Hierarchical });
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(803));
        Ids(session, 1);
        using var fork = session.Fork(803);
        Assert.Equal(session.MemoryBytes, fork.MemoryBytes, session.MemoryBytes / 2.0);
        session.Dispose();                                                                  // a fork's blocks are its own
        using var fresh = engine.NewSession();
        fresh.Append(TinyModel.Tokens(803));
        Assert.Equal(Ids(fresh, 12), Ids(fork, 12));
    }

    [Fact]
    public void AForkAfterAMemorySharesItsDocuments()
    {
        using var memory = Engine.OpenMemory([Make("a", torch.ScalarType.Float32, ("d", MadeMemory.Text(450)))]);
        using var session = Engine.NewSession(memory);
        session.Append(TinyModel.Tokens(50));
        Ids(session, 4);
        using var fork = session.Fork(40);
        using var fresh = Engine.NewSession(memory);
        fresh.Append([.. session.Tokens.Skip(fresh.Tokens.Count).Take(40 - fresh.Tokens.Count)]);
        Assert.Equal(fresh.Tokens, fork.Tokens);
        Assert.Equal(Ids(fresh, 12), Ids(fork, 12));
    }

    [Fact]
    public void WhatCannotForkSaysSo()
    {
        using var plain = TinyEngine.Create(TinyModel.Plain());
        using var read = plain.NewSession();
        read.Append([1, 2]);
        Refusals.Says(() => read.Fork(1), "without landmarks");
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append([1, 2]);
        Refusals.Says(() => session.Fork(0), "choose from 1 to 2");
        Refusals.Says(() => session.Fork(3), "choose from 1 to 2");
    }

    private static int[] Ids(Session session, int count) =>
        [.. session.Generate(new GenerationOptions { MaxTokens = count, StopAtEndOfText = false }).Select(t => t.Id)];
}
